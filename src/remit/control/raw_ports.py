"""Whether a way leads to a guarded server around Remit: its own port or socket, as others on this machine find it."""

import stat
from pathlib import Path
from typing import Final

from remit.inventory import Workload
from remit.posture import Fact
from remit.posture.grade import RAW_PORTS

UNIX: Final = "unix:"


def raw_port(workload: Workload, uid: int) -> Fact:
    """Of one server, for an instance that runs as `uid`. A TCP port answers any process here, whoever serves it."""
    if not workload.upstream.startswith(UNIX):
        where = workload.upstream.removeprefix("http://")
        return _reachable(workload, f"`{workload.name}` answers any process at {where}")
    path = workload.upstream.removeprefix(UNIX)
    if workload.uid != uid:
        return _reachable(workload, f"`{workload.name}` runs as uid {workload.uid}, which has its socket and memory")
    try:
        closed = _closed(Path(path), uid)
    except OSError as error:
        return Fact(RAW_PORTS, None, f"`{path}` of `{workload.name}`: {error.strerror}", _step(workload))
    if not closed:
        return _reachable(workload, f"`{path}` of `{workload.name}` answers other users")
    return Fact(RAW_PORTS, True, f"`{workload.name}` answers on a socket that is Remit's alone")


def none_guarded() -> Fact:
    return Fact(RAW_PORTS, None, "no model server is guarded", "start a model server")


def _reachable(workload: Workload, how: str) -> Fact:
    return Fact(RAW_PORTS, False, how, _step(workload))


def _step(workload: Workload) -> str:
    return f"let `{workload.name}` run as Remit's own user, on a unix socket that only Remit can reach"


def _closed(path: Path, uid: int) -> bool:
    """Whether the socket, or a directory above it, lets in no uid but `uid` and root (unix(7))."""
    socket = path.lstat()
    if stat.S_ISSOCK(socket.st_mode) and socket.st_uid == uid and not socket.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return True
    above = (one.stat() for one in path.parent.resolve(strict=True).joinpath("x").parents)
    return any(one.st_uid in {uid, 0} and not one.st_mode & (stat.S_IXGRP | stat.S_IXOTH) for one in above)
