"""What an emergency instance stands on: this instance's own log where that takes records, else one elsewhere."""

import contextlib
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from remit.audit import DigestKey
from remit.config import Places
from remit.control.own_log import OwnLog
from remit.errors import AuditError, IdentityError, StateError
from remit.identity import SpiffeId, lone_trust_domain

ROOM_BYTES: Final = 32 << 20  # two shards begin with 4 MiB each (audit/space.py)
SPARE: Final = ("/var/tmp", "/dev/shm", "/tmp")  # noqa: S108 (a directory of its own, 0700, is made there)
PUBLIC_KEY: Final = "audit.pub"
_NAMED: Final = re.compile(r"([a-z0-9._-]+)/audit\+")
_NOBODYS: Final = "emergency"


@dataclass(frozen=True, slots=True)
class Footing:
    """`places.state` has the log, its keys and the key of digests. `spare`: why that is not the instance's own."""

    places: Places
    log: OwnLog
    domain: str
    spare: str = ""

    @property
    def where(self) -> str:
        """For the record of the opening."""
        return f" (its log: {self.places.audit})" if self.spare else ""


def open_footing(places: Places, configured: str) -> Footing:
    """The log opened, first where it always is. `configured` is the settings' trust domain, or empty.

    Raises StateError when no place takes one: without a log nothing moves, in an emergency either.
    """
    try:
        domain = _domain_of(places)
        _check_room(places.state)
        return Footing(places, _opened(places, domain), domain)
    except (StateError, AuditError, OSError) as error:
        return _elsewhere(places, configured or lone_trust_domain(os.uname().nodename, _NOBODYS), str(error))


def _elsewhere(places: Places, domain: str, why: str) -> Footing:
    for parent in SPARE:
        with contextlib.suppress(StateError, AuditError, OSError):
            _check_room(Path(parent))
            spare = replace(places, state=Path(tempfile.mkdtemp(prefix="remit-emergency-", dir=parent)))
            return Footing(spare, _opened(spare, domain), domain, why)
    raise StateError(f"no log can be written, here or in {', '.join(SPARE)}: {why}", hint="make room on a disk")


def _opened(places: Places, domain: str) -> OwnLog:
    log = OwnLog.open(places, domain)
    try:
        DigestKey.open(places.state / "digest.key")
    except StateError:
        log.close()
        raise
    return log


def _domain_of(places: Places) -> str:
    """The trust domain whose log it is, by the name of its key: another one's records have no place in it."""
    named = _NAMED.match((places.audit / PUBLIC_KEY).read_text("ascii", errors="replace")[:1024])
    if named is None:
        raise StateError(f"`{places.audit / PUBLIC_KEY}` is no key of a log")
    try:
        return SpiffeId.of(named[1]).trust_domain
    except IdentityError as error:
        raise StateError(f"`{places.audit / PUBLIC_KEY}` is no key of a log") from error


def _check_room(path: Path) -> None:
    disk = os.statvfs(path)
    if disk.f_bavail * disk.f_frsize < ROOM_BYTES:
        raise StateError(f"the disk of `{path}` is full")
