"""Through whom this process looks at others: the one seam for what the kernel shows only to those who may trace.

`Direct` looks itself. In system mode gateways and control hold no capability and look `ThroughAttestor`. The choice
is the whole process's, made once at its start: who may see what is a matter of its uid and capabilities, not of the
question, and so no caller of `observe` or `walk` has to know.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from remit.identity.attestation.descriptors import Budget
from remit.identity.attestation.digests import Digests, Key

Node: TypeAlias = tuple[int, int]  # device, inode
Stamp: TypeAlias = tuple[int, int, int]  # size, mtime and ctime in ns
Links: TypeAlias = frozenset[str]  # `socket:[N]`

MAX_SCRIPT_BYTES: Final = 64 << 20  # a jar of an application with all its libraries


@dataclass(frozen=True, slots=True)
class Program:
    """The executable a process runs, all of it about the same file. None: can't be told, or was not asked for."""

    node: Node | None
    stamp: Stamp | None
    exe: str | None = None
    deleted: bool = False
    sha256: str | None = None


UNKNOWN: Final = Program(None, None)


@dataclass(frozen=True, slots=True)
class Found:
    """A script's file. `lasting`: where it lies below `/proc/PID` can be looked at again from here."""

    path: str | None
    sha256: str | None
    file: Key | None
    lasting: bool


class Watch(Protocol):
    """Tells without asking anybody whether a process still runs the very program and file it ran."""

    def file(self) -> tuple[Node | None, Stamp | None]:
        """That file as it is now; None when the process runs another program, or none."""


class Eyes(Protocol):
    """What one can see of a process. What the kernel does not show is None, PermissionError for its sockets."""

    def file(self, pid: int) -> tuple[Node | None, Stamp | None]:
        """Which file `pid` runs, as of now."""

    def program(self, pid: int, digests: Digests | None) -> Program:
        """What `pid` runs, hashed with `digests`; unknown if it became another meanwhile.

        Raises OSError when this machine is short of something.
        """

    def script(self, pid: int, argument: bytes, digests: Digests) -> Found:
        """The file `argument` as `pid` sees it. Raises OSError when there is none, or it isn't shown."""

    def sockets(self, pid: int, links: Links, budget: Budget, *, every_thread: bool) -> Links:
        """Those of `links` that `pid` holds. Raises PermissionError, and AttestationError beyond the budget."""

    def tables(
        self, pids: Iterable[int], links: Links, budget: Budget, *, every_thread: bool
    ) -> Iterator[tuple[int, Links | None]]:
        """As `sockets`, of each of `pids`; None where they can't be read."""

    def masters(self, pids: Iterable[int], index: int, budget: Budget) -> Iterator[tuple[int, bool | None]]:
        """Whether each of `pids` holds the master of `/dev/pts/INDEX`; None where that can't be told."""

    def watch(self, pid: int) -> Watch | None:
        """None where `/proc/PID/exe` itself is to be asked each time."""


class _Chosen:
    __slots__ = ("eyes",)

    def __init__(self) -> None:
        self.eyes: Eyes | None = None


_CHOSEN: Final = _Chosen()


def look_through(eyes: Eyes) -> None:
    """From now on this process looks through `eyes`."""
    _CHOSEN.eyes = eyes


def eyes() -> Eyes:
    """Those that were chosen; one's own unless others were."""
    if _CHOSEN.eyes is None:
        from remit.identity.attestation.direct import Direct  # noqa: PLC0415 it stands on what is here

        _CHOSEN.eyes = Direct()
    return _CHOSEN.eyes
