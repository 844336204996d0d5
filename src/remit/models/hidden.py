"""Files that another user's process sees and this one may not: known by the word of who may, never by their contents.

A path `/proc/PID/root/…` leads there. Who sees them is chosen once, by whoever starts the process.
"""

import re
from dataclasses import dataclass
from typing import Final, Protocol

State = tuple[int, int, int, int, int]  # as FileState
_INSIDE = re.compile(r"/proc/(\d+)/root(/.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Hidden:
    """One such file: `path` as the kernel has it here, None where it can't be told; `head` is of its kind alone."""

    state: State
    path: str | None
    head: bytes
    regular: bool = True


class Sight(Protocol):
    """Raises OSError when there is no such file, or nobody who may look."""

    def look(self, pid: int, path: str) -> Hidden:
        """The file at `path` as `pid` sees it, also relative to where it stands."""

    def state(self, pid: int, path: str) -> State:
        """Of a file that was looked at before: asks nobody, but for a moment's look now and then."""

    def digest(self, pid: int, path: str) -> tuple[State, str]:
        """With `sha256:<hex>`. Blocks for as long as that takes."""


class _Nobody:
    def look(self, pid: int, path: str) -> Hidden:
        raise PermissionError(f"{path} of process {pid} is not shown")

    def state(self, pid: int, path: str) -> State:
        return self.look(pid, path).state

    def digest(self, pid: int, path: str) -> tuple[State, str]:
        return self.look(pid, path).state, ""


class _Chosen:
    sight: Sight = _Nobody()


_CHOSEN: Final = _Chosen()


def see_through(sight: Sight | None) -> None:
    """From now on this process sees others' files through `sight`; through nobody's again without one."""
    _CHOSEN.sight = sight or _Nobody()


def sight() -> Sight:
    return _CHOSEN.sight


def inside(path: str) -> tuple[int, str]:
    """(pid, path as it sees it); raises PermissionError for another path."""
    match = _INSIDE.match(path)
    if match is None:
        raise PermissionError(path)
    return int(match[1]), match[2]
