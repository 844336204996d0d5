"""What the kernel says of a terminal and of who can type or read there: read, and judged by `persons.terminals`."""

import fcntl
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation.asking import Lines
from remit.identity.attestation.eyes import eyes
from remit.identity.attestation.holders import masters
from remit.identity.attestation.procfs import effective_uid, read_stat
from remit.identity.attestation.terminals import opened
from remit.persons.terminal_settings import TIOCEXCL
from remit.persons.terminals import (
    MAX_PARENTS,
    PSEUDO,
    Device,
    Holder,
    Leader,
    Place,
    TerminalRefusedError,
    check_readers,
    check_typists,
    leader_of,
)

_OTHERS_WRITE: Final = 0o022
_TIOCSTI_ALLOWED: Final = Path("/proc/sys/dev/tty/legacy_tiocsti")  # since Linux 6.2


def types_for_others(terminal: Device, allowed: Path = _TIOCSTI_ALLOWED) -> bool:
    """Whether a program in a session can type into its terminal (TIOCSTI), or paste: true where it isn't known."""
    try:
        return terminal.pastes or allowed.read_text("ascii").strip() != "0"
    except OSError:
        return True


class TerminalWalk:
    """Looks through the attestor. `allowed` are programs, besides sshd, that may hold a terminal's other end."""

    def __init__(self, lines: Lines, allowed: Collection[str]) -> None:
        self._lines, self._allowed, self._own = lines, frozenset(allowed), os.getuid()

    def leader(self, pid: int, start: int, uid: int, terminal: int) -> Leader:
        """The session of the process `pid` of `uid` on the open `terminal`, where its person may type a password.

        From then on nobody but root opens it anew, until its settings are given back. Blocks for two walks over all
        processes. Raises TerminalRefusedError, and AttestationError for what is gone.
        """
        facts = os.fstat(terminal)
        device = Device.of_file(facts.st_rdev)
        chain = _chain(pid)
        if chain[0].start != start or chain[0].uid != uid:
            raise TerminalRefusedError(f"process {pid} is not the one that asked")
        leader = leader_of(uid, device, facts.st_uid, chain)
        with suppress(OSError):
            fcntl.ioctl(terminal, TIOCEXCL)  # before the walk: who opens it after that is not seen
        check_typists(device, self._masters(device), self._allowed)
        seen = opened(self._lines, facts.st_dev, facts.st_ino)
        readers = _holders(seen.pids | seen.hidden)
        unclear = [one for one in _holders(seen.some) if not one.has_terminal]
        check_readers(leader, [*readers, *unclear], self._allowed, self._own)
        return leader

    def _masters(self, device: Device) -> list[Holder]:
        return _holders(masters(device.minor).pids) if device.major == PSEUDO else []


def in_foreground(pid: int) -> bool:
    """Whether it still is, on whatever terminal it has. False for what is gone."""
    try:
        stat = read_stat(pid)
    except AttestationError:
        return False
    return stat.terminal != 0 and stat.group == stat.foreground_group


def _chain(pid: int) -> list[Place]:
    """The process and its parents up to its session's leader, as far as they go."""
    chain = [_place(pid)]
    while chain[-1].pid != chain[0].session and chain[-1].parent > 0 and len(chain) < MAX_PARENTS:
        chain.append(_place(chain[-1].parent))
    return chain


def _place(pid: int) -> Place:
    stat = read_stat(pid)
    try:
        uid = effective_uid(pid)
    except OSError as error:
        raise AttestationError(f"process {pid} is gone") from error
    return Place(
        pid=pid,
        start=stat.start,
        uid=uid,
        name=stat.name,
        parent=stat.parent,
        group=stat.group,
        session=stat.session,
        terminal=Device.of_stat(stat.terminal),
        foreground_group=stat.foreground_group,
    )


def _holders(pids: Iterable[int]) -> list[Holder]:
    """Those of them that are still there."""
    found = []
    for pid in sorted(pids):
        try:
            found.append(_holder(_place(pid)))
        except AttestationError:
            continue
    return found


def _holder(place: Place) -> Holder:
    return Holder(
        pid=place.pid,
        uid=place.uid,
        name=place.name,
        session=place.session,
        has_terminal=place.terminal is not None,
        program=_roots_program(place.pid),
        guarded=_guarded(place.pid),
    )


def _roots_program(pid: int) -> str | None:
    """What it runs, where that is a file that only root could have changed."""
    program = eyes().program(pid, None)
    if program.exe is None or program.deleted or not program.exe.startswith("/"):
        return None
    try:
        facts = Path(program.exe).stat()
    except OSError:
        return None
    same = (facts.st_dev, facts.st_ino) == program.node
    return program.exe if same and facts.st_uid == 0 and not facts.st_mode & _OTHERS_WRITE else None


def _guarded(pid: int) -> bool:
    """Whether it can't be traced by others of its uid: then its files in /proc are root's (proc(5), dumpable)."""
    try:
        return Path(f"/proc/{pid}/status").stat().st_uid == 0
    except OSError:
        return False
