"""What is looked at before an installation touches anything: whether this version can go on with what is there."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from remit.config import Places, load
from remit.errors import StateError
from remit.install.as_person import asking
from remit.install.code_copy import name_of_copy
from remit.install.places import KEPT, OPT
from remit.install.revisions import refuse_newer_state
from remit.install.users_own import DATABASE
from remit.policy import load as load_policies
from remit.policy.directory import read_directory

NEEDED_BYTES: Final = 400 << 20  # the copy of the code takes 310 MB with the demonstration model


def first_look() -> None:
    """Raises RemitError, with nothing changed: for a state, settings or policies that this version can't read.

    And for a machine that can't take an installation: read-only, full, or no programs allowed where the code goes.
    """
    at = Places.system()
    _refuse_newer(at.state / DATABASE)
    load(at.config)
    if any(at.policies.glob("*.cedar")):
        load_policies(read_directory(at.policies))
    for place in (at.config.parent, KEPT, OPT, Path("/usr/local/bin")):
        _takes_files(_there(place))
    _runs_programs(_there(OPT))


def _refuse_newer(database: Path) -> None:
    """Asked as whoever the database belongs to: root parses nothing that another could write."""
    if not database.is_file():
        return
    uid = database.lstat().st_uid
    try:
        owner = pwd.getpwuid(uid)
    except KeyError:
        raise StateError(f"`{database}` belongs to uid {uid}, who has no account", hint="see whose it is") from None

    def answer(_question: Mapping[str, Any]) -> Mapping[str, Any]:
        refuse_newer_state(database)
        return {}

    with asking(owner, answer) as line:
        line.ask("revision")


def _there(path: Path) -> Path:
    return next(step for step in (path, *path.parents) if step.is_dir())


def _takes_files(directory: Path) -> None:
    facts = os.statvfs(directory)
    if facts.f_flag & os.ST_RDONLY:
        raise StateError(f"`{directory}` is read-only", hint="mount it so that root can write there")


def _runs_programs(directory: Path) -> None:
    facts = os.statvfs(directory)
    if facts.f_flag & os.ST_NOEXEC:
        raise StateError(f"`{directory}` is mounted noexec: no code can run there", hint="mount it with `exec`")
    if facts.f_bavail * facts.f_frsize < NEEDED_BYTES and not (OPT / name_of_copy()).is_dir():
        need = NEEDED_BYTES >> 20
        raise StateError(f"`{directory}` has no room: the code takes up to {need} MB", hint="make room there")
