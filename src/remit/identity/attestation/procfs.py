"""What `/proc` says of one process (proc(5)): pure parsers first, then `observe`, which reads."""

# Some of these are read at every request, and a Path object costs more than the call itself.
# ruff: noqa: PTH116

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation.accounts import ACCOUNTS
from remit.identity.attestation.cgroup import Cgroups, parse_cgroups, systemd_unit
from remit.identity.attestation.digests import Digests
from remit.identity.attestation.eyes import eyes
from remit.identity.attestation.script import SCRIPTS
from remit.identity.attestation.shortage import is_shortage, told
from remit.identity.process import Ancestor, Process

Parents = tuple[Ancestor, ...]  # nearest first

MAX_ANCESTORS: Final = 32
MAX_TOLD_ANCESTORS: Final = 4  # whose executables are looked at, about 15 µs each
UNSET_LOGIN_UID: Final = 4294967295  # (uid_t) -1, see pam_loginuid(8)
_MAX_READ: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of `/proc/PID/stat` that name a process and its place. `terminal` 0 means it has none."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    terminal: int
    foreground_group: int
    start: int
    session: int = 0


def parse_stat(text: bytes) -> Stat:
    """Parse `/proc/PID/stat`. The name may hold spaces, parentheses and newlines: it ends at the *last* `)`.

    Raises AttestationError for anything that is not such a line.
    """
    opening, closing = text.find(b" ("), text.rfind(b") ")
    fields = text[closing + 2 :].split()
    if opening < 0 or closing < opening or len(fields) < 20:
        raise AttestationError("a process's `stat` is not as proc(5) describes it")
    try:
        return Stat(
            pid=int(text[:opening]),
            name=printable(text[opening + 2 : closing]),
            state=fields[0].decode("ascii"),
            parent=int(fields[1]),  # field 4 of proc(5); fields[0] is field 3
            group=int(fields[2]),
            terminal=int(fields[4]),
            foreground_group=int(fields[5]),
            start=int(fields[19]),
            session=int(fields[3]),
        )
    except ValueError as error:
        raise AttestationError("a process's `stat` is not as proc(5) describes it") from error


def parse_effective_ids(text: bytes) -> tuple[int, int]:
    """(effective uid, effective gid) from `/proc/PID/status`, where the kernel escapes newlines in the name."""
    return _effective(text, b"\nUid:"), _effective(text, b"\nGid:")


def _effective(text: bytes, label: bytes) -> int:
    _, found, rest = text.partition(label)
    columns = rest.split(b"\n", 1)[0].split()  # real, effective, saved, filesystem
    if not found or len(columns) != 4 or not columns[1].isdigit():
        raise AttestationError("a process's `status` is not as proc(5) describes it")
    return int(columns[1])


def parse_groups(text: bytes) -> tuple[int, ...]:
    """The supplementary gids from `/proc/PID/status`."""
    return tuple(int(gid) for gid in _columns(text, b"\nGroups:"))


def parse_nested(text: bytes) -> bool:
    """Whether it lives in a pid namespace below that of `/proc`: then it has a number in each of them (proc(5))."""
    return len(_columns(text, b"\nNSpid:")) > 1


def _columns(text: bytes, label: bytes) -> list[bytes]:
    _, _, rest = text.partition(label)
    return [column for column in rest.split(b"\n", 1)[0].split() if column.isdigit()]


def parse_login_uid(text: bytes) -> int | None:
    digits = text.strip()
    if not digits.isdigit() or int(digits) == UNSET_LOGIN_UID:
        return None
    return int(digits)


def printable(name: bytes) -> str:
    """A process chooses its own name: no control characters of it reach a terminal or a log."""
    text = name.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def observe(pid: int, *, digests: Digests, parents: Callable[[Stat], Parents] | None = None) -> Process:
    """The kernel's facts about process `pid`. Blocks while a new executable is hashed. `parents` finds its chain of
    parents, anew if it is not given.

    What can't be read (another uid's executable, or a process that is not dumpable) is None. Raises AttestationError
    when there is no such process or it changed its executable meanwhile. Not checked here: that `pid` still names
    the process it named before the call; hold a pidfd across it (`Attested` does).
    """
    with told():
        return _observe(pid, digests, parents)


def _observe(pid: int, digests: Digests, parents: Callable[[Stat], Parents] | None) -> Process:
    stat = read_stat(pid)
    status = _read(pid, "status")
    uid, gid = parse_effective_ids(status)
    program = eyes().program(pid, digests)
    script = SCRIPTS.of(pid, stat.start, program.exe, digests)
    groups = cgroups(pid)
    if eyes().file(pid) != (program.node, program.stamp):
        raise AttestationError(f"process {pid} changed its executable while it was looked at")
    return Process(
        pid=pid,
        start=stat.start,
        uid=uid,
        gid=gid,
        name=stat.name,
        exe=program.exe,
        exe_sha256=program.sha256,
        exe_node=program.node,
        login_uid=login_uid(pid),
        terminal=stat.terminal or None,
        foreground=stat.terminal != 0 and stat.foreground_group == stat.group,
        parents=ancestors(stat) if parents is None else parents(stat),
        exe_deleted=program.deleted,
        user=ACCOUNTS.user(uid),
        home=ACCOUNTS.home(uid),
        group=ACCOUNTS.group(gid),
        groups=parse_groups(status),
        cgroups=groups,
        unit=None if groups is None else systemd_unit(groups),
        script=script,
        nested=parse_nested(status),
        exe_stamp=program.stamp,
    )


def read_stat(pid: int) -> Stat:
    return parse_stat(_read(pid, "stat"))


def effective_uid(pid: int) -> int:
    """The owner of `/proc/PID`: the effective uid, whether it is dumpable or not. About 2 µs. Raises OSError."""
    return os.stat(f"/proc/{pid}").st_uid


def cgroups(pid: int) -> Cgroups | None:
    try:
        return parse_cgroups(_read(pid, "cgroup"))
    except AttestationError:
        return None


def login_uid(pid: int | str) -> int | None:
    """The audit login uid; None when unset or when the kernel keeps none."""
    try:
        return parse_login_uid(_read(pid, "loginuid"))
    except AttestationError:
        return None


def ancestors(child: Stat, digests: Digests | None = None) -> Parents:
    """The parents of `child`, nearest first, at most MAX_ANCESTORS; ends at what can't be read. The nearest ones'
    executables are looked at, and hashed with `digests`.

    No process is younger than its child: one that is got the number of a parent that has just exited.
    """
    chain: list[Ancestor] = []
    below = child
    while below.parent > 0 and len(chain) < MAX_ANCESTORS:
        try:
            stat = read_stat(below.parent)
        except AttestationError:
            break
        if stat.start > below.start:
            break
        chain.append(_ancestor(stat, digests) if len(chain) < MAX_TOLD_ANCESTORS else _bare(stat))
        below = stat
    return tuple(chain)


def _ancestor(stat: Stat, digests: Digests | None) -> Ancestor:
    """What it runs now, which need not be what it ran when it started its child. A deleted path is left out."""
    program = eyes().program(stat.pid, digests)
    if program.node is None:
        return _bare(stat)
    return Ancestor(stat.pid, stat.name, None if program.deleted else program.exe, program.sha256, stat.start)


def _bare(stat: Stat) -> Ancestor:
    return Ancestor(stat.pid, stat.name, start=stat.start)


def _read(pid: int | str, name: str) -> bytes:
    try:
        file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, _MAX_READ)
        finally:
            os.close(file)
    except OSError as error:
        if is_shortage(error):
            raise
        raise AttestationError(f"can't read `{name}` of process {pid}: {error.strerror}") from error
