"""Whether the code that runs could have been written by somebody else: judged over what the interpreter imports from.

Every directory and file it imports from, and every directory on the way there, is its owner's (root) and writable
by nobody else; and there is no `.pth` file (it runs at each start) that no installed distribution lists. A sticky bit
makes no difference: it stops nobody from putting a new file there.
"""

import os
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.errors import StateError

_OTHERS: Final = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Found:
    """One path on the way to code."""

    path: Path
    uid: int
    mode: int  # with its type


@dataclass(frozen=True, slots=True)
class Untrusted:
    """A path that makes the code doubtful, and why."""

    path: Path
    why: str
    mend: str


def judge(found: Iterable[Found], owners: Collection[int], listed: Collection[Path]) -> Untrusted | None:
    """The first path that somebody but `owners` could have written, or a `.pth` file that is not `listed`."""
    for one in found:
        if one.uid not in owners:
            return Untrusted(one.path, f"it belongs to uid {one.uid}", f"chown root: {one.path}")
        if not stat.S_ISLNK(one.mode) and one.mode & (stat.S_IWGRP | stat.S_IWOTH):
            return Untrusted(one.path, "others than its owner can write it", f"chmod go-w {one.path}")
        if one.path.name.endswith(".pth") and one.path not in listed:
            return Untrusted(one.path, "it runs at each start, and no distribution lists it", f"rm {one.path}")
    return None


def first_untrusted(owners: Collection[int]) -> Untrusted | None:
    """Judge the code of this very process."""
    return judge(walk(_roots()), owners, _listed())


def check_code(*others: int) -> None:
    """Raises StateError when anybody but root, and `others`, could have written what runs here.

    Not even Remit's own uid: root runs the same code to start it, and the attestor holds what that uid doesn't.
    """
    doubt = first_untrusted({0, *others})
    if doubt is not None:
        raise StateError(f"the code can't be trusted: `{doubt.path}`: {doubt.why}", hint=doubt.mend)


def walk(roots: Iterable[Path]) -> Iterator[Found]:
    """Each root, the directories on the way to it, and all below it; a link counts, and what it leads to."""
    seen: set[str] = set()
    for root in roots:
        for step in map(str, _way(root)):
            if step not in seen:
                seen.add(step)
                yield _found(step)
        if root.is_dir():
            yield from _below(root, seen)


def _way(root: Path) -> Iterator[Path]:
    """From the top down, along the name and along where its links lead."""
    for path in dict.fromkeys((root, root.resolve())):
        yield from (step for step in (*reversed(path.parents), path) if os.path.lexists(step))


def _below(root: Path, seen: set[str]) -> Iterator[Found]:
    """Thousands of files, at each start: a Path for what is looked up would cost more than the look itself."""
    for at, directories, names in os.walk(root):
        directories[:] = [
            name for name in directories if name not in _OTHERS
        ]  # not imported from, unless a root itself
        for name in (*directories, *names):
            path = f"{at}/{name}"
            if path in seen:
                continue
            seen.add(path)
            found = _found(path)
            yield found
            if stat.S_ISLNK(found.mode):
                yield from (_found(step) for step in map(str, _way(found.path)) if step not in seen)


def _found(path: str) -> Found:
    facts = os.lstat(path)
    return Found(Path(path), facts.st_uid, facts.st_mode)


def _roots() -> list[Path]:
    paths = [Path(sys.executable), *(Path(entry) for entry in sys.path if entry), *_mapped()]
    return [path for path in dict.fromkeys(paths) if os.path.lexists(path)]


def _mapped() -> Iterator[Path]:
    """What this process has in its memory from files: its libraries (proc_pid_maps(5))."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[5].startswith("/") and "x" in parts[1]:
            yield Path(parts[5])


def _listed() -> set[Path]:
    """The `.pth` files that installed distributions say are theirs, in what the installer recorded (PEP 376).

    Read here line by line: `importlib.metadata` takes 0.2 s for it, at each start.
    """
    found: set[Path] = set()
    for entry in filter(None, sys.path):
        for record in Path(entry).glob("*.dist-info/RECORD"):
            lines = record.read_text("utf-8", "surrogateescape").splitlines()
            found |= {record.parents[1] / line.partition(",")[0] for line in lines if ".pth," in line}
    return found
