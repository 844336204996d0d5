"""Whether a way leads to a guarded server around Remit: its own port or socket, as others on this machine find it."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.control.people import human_uids
from remit.control.roles import ROOT
from remit.control.ways import TOO_MANY, Around
from remit.inventory import Workload
from remit.posture import Fact
from remit.posture.grade import RAW_PORTS

UNIX: Final = "unix:"
OPEN, CLOSED = "open", "closed"  # of `guard.raw_ports`; between them: closed to callers on this machine
# What carries connections into a container, which has addresses of its own that nobody here knows.
CARRIERS: Final = frozenset(
    {"docker-proxy", "rootlessport", "slirp4netns", "pasta", "pasta.avx2", "conmon", "gvproxy"}
)


@dataclass(frozen=True, slots=True)
class Closing:
    """How the ways to one server are: all of them, whether the kernel refuses them, and why it may not."""

    choice: str
    around: Around
    refused: bool
    trouble: str = ""


def raw_port(workload: Workload, uid: int, closing: Closing | None = None) -> Fact:
    """Of one server, for an instance that runs as `uid`. A TCP port answers any process here unless it is closed."""
    if not workload.upstream.startswith(UNIX):
        return _of_port(workload, closing)
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


def _of_port(workload: Workload, closing: Closing | None) -> Fact:
    """What is refused by the kernel, and whether that is every way there is."""
    name, where = workload.name, workload.upstream.removeprefix("http://")
    answers = f"`{name}` answers any process at {where}"
    if closing is None:
        step = "run Remit in system mode: the kernel refuses them there (docs/fence.md)"
        return Fact(RAW_PORTS, False, answers, step)
    if closing.choice == OPEN:
        return Fact(RAW_PORTS, False, answers, 'set `guard.raw_ports` to "local"')
    if not closing.around.may_be_refused:
        return Fact(RAW_PORTS, False, f"{answers}, a port that Remit never closes", "let it listen above port 1023")
    if not closing.refused:
        why = f": {closing.trouble}" if closing.trouble else ""
        return Fact(RAW_PORTS, False, answers + why, _repair(closing))
    if Path(workload.exe or "").name in CARRIERS:
        how = f"`{name}` is in a container, which may have addresses of its own"
        return Fact(RAW_PORTS, None, how, f"run `{name}` on this machine itself")
    return _of_ways(workload, closing)


def _of_ways(workload: Workload, closing: Closing) -> Fact:
    """Of a server all of whose ways here are closed."""
    name = workload.name
    if workload.reach in {"lan", "all"} and closing.choice != CLOSED:
        step = 'set `guard.raw_ports` to "closed", or let it listen on 127.0.0.1 alone'
        return Fact(RAW_PORTS, False, f"`{name}` answers other machines", step)
    if closing.around.inner and workload.uid != ROOT and (workload.uid is None or workload.uid in human_uids()):
        inner = ", ".join(sorted(one.where for one in closing.around.inner))
        how = f"`{name}` also listens at {inner}, where programs of uid {workload.uid} can call it"
        return Fact(RAW_PORTS, False, how, f"let `{name}` run as an account of its own")
    every = ", ".join(sorted(one.where for one in closing.around.own))
    return Fact(RAW_PORTS, True, f"`{name}` at {every}: the kernel refuses all but Remit (table `inet remit`)")


def _repair(closing: Closing) -> str:
    if "CAP_NET_ADMIN" in closing.trouble:
        return "start Remit with CAP_NET_ADMIN (of a container: `--cap-add NET_ADMIN`)"
    if closing.trouble == TOO_MANY:
        return "let it listen at fewer addresses"
    return "see `nft list table inet remit`, and the notes of `remit up`"


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
