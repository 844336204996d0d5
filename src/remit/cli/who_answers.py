"""Who answers at a control socket: this user's own Remit, or the system's. Anybody else is not spoken to."""

import os
import pwd
import socket
import stat
import struct
from pathlib import Path
from typing import Final

from remit.config import SYSTEM_ACCOUNT, Places
from remit.errors import StateError

_UCRED: Final = struct.Struct("=iII")  # pid, uid, gid: unix(7), SO_PEERCRED


def check_who_answers(sock: socket.socket, path: Path) -> None:
    """Raise StateError unless whoever listened at `path` is who should: nothing was said to them yet.

    The system's is of root or Remit's own uid, in a directory that nobody else could put a socket in. Another is this
    user's own; root may speak to any, as whose the directory is.
    """
    uid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[1]
    if path.parent == Places.system().run:
        _check_system(uid, path)
    elif uid != os.geteuid() and not (os.geteuid() == 0 and uid == path.parent.stat().st_uid):
        raise _somebody_else(uid, path)


def _check_system(uid: int, path: Path) -> None:
    trusted = {0, *_remits_own()}
    facts = path.parent.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in trusted or facts.st_mode & 0o022:
        raise StateError(
            f"`{path.parent}` is not Remit's alone: somebody else could answer there",
            hint=f"it must belong to root or `{SYSTEM_ACCOUNT}`, and be writable by nobody else",
        )
    if uid not in trusted:
        raise _somebody_else(uid, path)


def _remits_own() -> tuple[int, ...]:
    try:
        return (pwd.getpwnam(SYSTEM_ACCOUNT).pw_uid,)
    except KeyError:
        return ()


def _somebody_else(uid: int, path: Path) -> StateError:
    return StateError(
        f"somebody else answers on `{path}`: uid {uid}", hint="nothing was said to them; see who it is, and end it"
    )
