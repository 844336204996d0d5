"""What listens on this host and is worth asking: the kernel's socket tables, with who holds each socket."""

import ipaddress
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from remit.identity.attestation.holders import walk
from remit.identity.attestation.sock_diag import Listener, listeners
from remit.identity.attestation.unix_diag import UnixListener, unix_listeners
from remit.inventory.ports import MODEL_SERVER_PORTS, NOT_HTTP, NOT_HTTP_SOCKETS
from remit.models.launched import standing_at

REACHES: Final = ("private", "loopback", "lan", "all")  # narrowest first
BOUND_AGAIN: Final = "several processes have bound its path: which of them answers is unknown"
INIT: Final = 1  # holds the sockets of services it starts on demand (systemd.socket(5)); it serves none itself


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What is Remit's own and is not asked: processes, TCP ports, socket paths.

    Ports and paths are needed beside pids: a process that is not dumpable can't be seen to hold its sockets.
    """

    pids: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()
    paths: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place to ask. `address` is as for Probe; `port` is None for a unix socket; `uid` created the socket."""

    address: str
    port: int | None
    reach: str
    pids: tuple[int, ...]
    uid: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """One listening socket: who is seen to hold it (nobody: not shown to us), and the uid that made it, if told."""

    pids: tuple[int, ...]
    uid: int | None


def survey(exclude: Exclusion) -> list[Candidate]:
    """All places worth asking. Blocks for a walk of `/proc`; raises AttestationError when no table can be read."""
    tcp = [one for one in listeners() if one.port not in NOT_HTTP and one.port not in exclude.ports]
    unix = [one for one in unix_listeners() if not any(part in one.path for part in NOT_HTTP_SOCKETS)]
    held = holders_of({one.inode for one in tcp} | {one.inode for one in unix} - {0})
    found = [*doors(tcp, held), *_unix(unix, held, exclude)]
    return [one for one in found if exclude.pids.isdisjoint(one.pids)]


def sockets_at(upstream: str) -> list[Holding]:
    """All that listens at a workload's address now, whoever holds it, also where nobody is seen to hold it.

    Of TCP listeners those of that very address answer there; those of any address only when there are none. Blocks
    for a walk of `/proc`; raises AttestationError when no table can be read.
    """
    if upstream.startswith("unix:"):
        return _sockets_named(upstream.removeprefix("unix:"))
    place = urlsplit(upstream)
    own = ipaddress.ip_address(place.hostname or "")
    on_port = [one for one in listeners() if one.port == place.port]
    exact = [one for one in on_port if _plain(one.address) == own]
    there = exact or [one for one in on_port if _is_any(one.address) and (own.version == 4 or ":" in one.address)]
    held = holders_of({one.inode for one in there})
    return [Holding(held.get(one.inode, ()), one.uid) for one in there]


def _sockets_named(path: str) -> list[Holding]:
    """The one that was bound as `path`, or relative to where its holder stands now.

    None of several: the path leads to one of them, and the kernel's table does not say to which.
    """
    there = [one for one in unix_listeners() if one.path.rsplit("/", 1)[-1] == path.rsplit("/", 1)[-1]]
    held = holders_of({one.inode for one in there} - {0})
    pids = {one: held.get(one.inode, ()) for one in there}
    named = [Holding(pids[one], None) for one in there if path in {one.path, _absolute(one.path, pids[one])}]
    return named if len(named) == 1 else []


def holders_of(inodes: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Who holds each of these sockets, found in one walk; a socket whose holders can't be seen is left out."""
    held = walk(inodes)
    return {inode: tuple(sorted({*found.pids} - {INIT} or found.pids)) for inode, found in held.items() if found.pids}


def doors(found: list[Listener], held: dict[int, tuple[int, ...]]) -> list[Candidate]:
    """One candidate a door: connecting to 127.0.0.1 reaches the listener of that address before that of any address.

    So an answer is never put down to a process that did not give it.
    """
    open_doors: dict[str, Candidate] = {}
    for listener in sorted(found, key=lambda one: _is_any(one.address)):
        pids = held.get(listener.inode, ())
        if not pids and listener.port not in MODEL_SERVER_PORTS:
            continue
        candidate = _candidate(listener, pids)
        if candidate is None:
            continue
        before = open_doors.setdefault(candidate.address, candidate)
        if before is not candidate:
            open_doors[candidate.address] = _shared(before, candidate)
    return list(open_doors.values())


def _candidate(listener: Listener, pids: tuple[int, ...]) -> Candidate | None:
    address = _plain(listener.address)
    if address.is_link_local and address.version == 6:
        return None  # needs an interface; the same server nearly always listens elsewhere too
    if address.is_unspecified:
        host, reach = ("127.0.0.1" if address.version == 4 else "[::1]"), "all"
    else:
        host = str(address) if address.version == 4 else f"[{address}]"
        reach = "loopback" if address.is_loopback else "lan"
    return Candidate(f"http://{host}:{listener.port}", listener.port, reach, pids, listener.uid)


def _shared(one: Candidate, other: Candidate) -> Candidate:
    """Two listeners behind one door: workers of one server, or a stranger beside it."""
    if set(one.pids) & set(other.pids) or one.reach == other.reach:
        return replace(one, pids=tuple(sorted({*one.pids, *other.pids})), reach=wider(one.reach, other.reach))
    who = ", ".join(map(str, other.pids)) or "unknown"
    return replace(
        one, notes=(*one.notes, f"another process (pid {who}) listens on the same port at other addresses")
    )


def _unix(found: list[UnixListener], held: dict[int, tuple[int, ...]], exclude: Exclusion) -> Iterator[Candidate]:
    """Sockets with a path here, whose holder is visible. Abstract names have no owner and no server uses them.

    A path that was bound again leads to one of its sockets, and it can't be told to which: nobody is seen to hold it.
    """
    holders: dict[str, list[tuple[int, ...]]] = {}
    for listener in found:
        pids = held.get(listener.inode, ())
        path = _absolute(listener.path, pids)
        if path is not None and path not in exclude.paths:
            holders.setdefault(path, []).append(pids)
    for path, several in holders.items():
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            continue  # in another mount namespace, or not for us
        if not stat.S_ISSOCK(status.st_mode):
            continue
        pids, notes = (several[0], ()) if len(several) == 1 else ((), (BOUND_AGAIN,))
        yield Candidate(f"unix:{path}", None, _unix_reach(path, status), pids, status.st_uid, notes)


def _absolute(path: str, pids: tuple[int, ...]) -> str | None:
    """The path, from the root; one that was bound relative is taken from where its holder stands now."""
    if not pids or path.startswith("@") or not path.isprintable():
        return None
    if path.startswith("/"):
        return path
    home = standing_at(pids[0])
    return None if home is None else f"{home}/{path}"


def _unix_reach(path: str, status: os.stat_result) -> str:
    """`private` unless any user may connect: that takes write on the socket and search on its folders."""
    folders = Path(path).parents
    searchable = all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
    return "loopback" if status.st_mode & stat.S_IWOTH and searchable else "private"


def wider(one: str, other: str) -> str:
    return max(one, other, key=REACHES.index)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _is_any(address: str) -> bool:
    return _plain(address).is_unspecified
