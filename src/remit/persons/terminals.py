"""Whether a person may type their password where a process stands: by what the kernel says of that terminal; pure."""

import itertools
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from remit.errors import RemitError

CONSOLES: Final = 4  # devices.txt: this machine's own consoles and its serial lines
_SCREENS: Final = 64  # devices.txt: from this minor number on they are serial lines
PSEUDO: Final = 136  # devices.txt: Unix98 pseudo-terminals; the minor number is the index
SSHD: Final = (
    "/usr/sbin/sshd",
    "/usr/lib/openssh/sshd-session",
    "/usr/libexec/openssh/sshd-session",
    "/usr/libexec/sshd-session",
)
MAX_PARENTS: Final = 64  # between a command and its session's leader
_ELSEWHERE: Final = "use the machine's console or ssh; docs/person-proof.md says how root allows another program"
_OWN_SHELL: Final = "run it from a shell of your own, in the foreground of its terminal"


class TerminalRefusedError(RemitError):
    """This is no place for a password: somebody else could type or read there, or it is not the person's."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Device:
    """A terminal's number, as the kernel has it."""

    major: int
    minor: int

    @classmethod
    def of_stat(cls, number: int) -> "Device | None":
        """From `tty_nr` of `/proc/PID/stat` (proc(5)); None for 0: no terminal."""
        return cls(number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00) if number else None

    @classmethod
    def of_file(cls, rdev: int) -> "Device":
        return cls(os.major(rdev), os.minor(rdev))

    @property
    def pastes(self) -> bool:
        """A screen of the kernel's own: what is shown there, a program on it can paste as if it were typed.

        TIOCLINUX (ioctl_console(2)); since Linux 6.7 that takes CAP_SYS_ADMIN.
        """
        return self.major == CONSOLES and self.minor < _SCREENS

    def __str__(self) -> str:
        if self.major == PSEUDO:
            return f"/dev/pts/{self.minor}"
        if self.major != CONSOLES:
            return f"device {self.major}:{self.minor}"
        return f"/dev/tty{self.minor}" if self.minor < _SCREENS else f"/dev/ttyS{self.minor - _SCREENS}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one process stands. `uid` is its effective one, `start` clock ticks since boot."""

    pid: int
    start: int
    uid: int
    name: str
    parent: int
    group: int
    session: int
    terminal: Device | None
    foreground_group: int


@dataclass(frozen=True, slots=True)
class Leader:
    """The session on one terminal, for as long as it lasts: what a proof that holds for a while is bound to."""

    uid: int
    terminal: Device
    pid: int
    start: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a terminal, or its other end, open. `program` is None where it can't be told, or where
    anybody but root could have changed that file. `guarded`: others of its uid can't change what it does.
    """

    pid: int
    uid: int
    name: str
    session: int
    has_terminal: bool
    program: str | None
    guarded: bool

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


def leader_of(uid: int, file: Device, owner: int, chain: Sequence[Place]) -> Leader:
    """Whose session the process stands in. `chain` is the process and its parents, nearest first, up to that leader.

    1. the terminal that was passed is the process's own, and belongs to its person
    2. the process is in the foreground there
    3. each parent of the chain lived before its child, in the same session, as the same person (or as root)
    4. the chain ends at the session's leader: who left its parents or its session (setsid, double fork) is nobody's
    Raises TerminalRefusedError.
    """
    process, last = chain[0], chain[-1]
    # 1
    if process.terminal is None or process.terminal != file:
        raise TerminalRefusedError(f"{file} is not the terminal of process {process.pid}", hint=_OWN_SHELL)
    if owner not in {uid, 0}:
        raise TerminalRefusedError(f"{file} belongs to uid {owner}, not to uid {uid}", hint=_OWN_SHELL)
    # 2
    if process.group != process.foreground_group:
        raise TerminalRefusedError(f"process {process.pid} is not in the foreground of {file}", hint=_OWN_SHELL)
    # 3
    for child, parent in itertools.pairwise(chain):
        if parent.pid != child.parent or parent.start > child.start or parent.session != process.session:
            raise TerminalRefusedError(f"process {child.pid} has lost its parent", hint=_OWN_SHELL)
    stranger = next((one for one in chain if one.uid not in {uid, 0}), None)
    if stranger is not None:
        raise TerminalRefusedError(
            f"process {stranger.pid} ({stranger.name}) above it runs as uid {stranger.uid}", hint=_OWN_SHELL
        )
    # 4
    if last.pid != process.session:
        raise TerminalRefusedError(
            f"process {process.pid} does not descend from the session on {file}", hint=_OWN_SHELL
        )
    return Leader(uid, file, last.pid, last.start)


def check_typists(terminal: Device, masters: Sequence[Holder], allowed: Collection[str]) -> None:
    """Raise TerminalRefusedError unless all who could type there are root's sshd or `allowed` programs.

    Consoles have no other end. `masters` hold that of a pseudo-terminal of this number, in a container's too.
    sshd's part that runs as the person counts where no program of theirs can change it, beside the part that runs as
    root: anybody can start an sshd of their own.
    """
    if terminal.major == CONSOLES:
        return
    if terminal.major != PSEUDO:
        raise TerminalRefusedError(f"{terminal} is neither a console nor a terminal of ssh", hint=_ELSEWHERE)
    if not masters:
        raise TerminalRefusedError(f"nobody knows who can type into {terminal}", hint=_ELSEWHERE)
    by_root = any(one.program in SSHD and one.uid == 0 for one in masters)
    fit = {one.pid for one in masters if one.program in SSHD and by_root and (one.uid == 0 or one.guarded)}
    other = next((one for one in masters if one.pid not in fit and one.program not in allowed), None)
    if other is not None:
        raise TerminalRefusedError(f"{other} can type into {terminal}", hint=_ELSEWHERE)


def check_readers(leader: Leader, readers: Sequence[Holder], allowed: Collection[str], own: int) -> None:
    """Raise TerminalRefusedError where a process outside that session could read what is typed there.

    Not those of root, of `own` (Remit's uid), nor `allowed` programs.
    """
    for one in readers:
        outside = one.session != leader.pid and one.uid not in {0, own}
        if outside and one.program not in allowed:
            raise TerminalRefusedError(
                f"{one} has {leader.terminal} open from outside its session: it could read your password",
                hint=f"end process {one.pid}, or use another terminal",
            )
