"""A process's relatives: whom `fork` may have given a socket to, or got it from."""

# As in descriptors.py, a Path object costs more than the call itself.
# ruff: noqa: PTH110, PTH123, PTH208

import functools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation import procfs
from remit.identity.attestation.holders import processes
from remit.identity.attestation.lineage import Lineages
from remit.identity.attestation.shortage import is_shortage

MAX_DESCENDANTS: Final = 256
_INIT: Final = 1

Children = Callable[[int], list[int]]


def kin(pid: int, lineages: Lineages, children: Children) -> list[int]:
    """Ancestors and descendants of `pid`; none when it is gone.

    Not init, which may hold hundreds of descriptors (1 ms): it is left to the exhaustive walk.
    """
    try:
        parents = lineages.parents(procfs.read_stat(pid))
    except AttestationError:
        return []
    above = [ancestor.pid for ancestor in parents if ancestor.pid != _INIT]
    return above + list(islice(descendants(pid, children), MAX_DESCENDANTS))


def descendants(pid: int, children: Children) -> Iterator[int]:
    """Children of all threads, then theirs."""
    waiting = [pid]
    while waiting:
        for child in children(waiting.pop(0)):
            yield child
            waiting.append(child)


def children_now() -> Children:
    """How to find a process's children: from its own files, or from one table of parents where it has none."""
    return listed_children if _kernel_lists_children() else parent_table().__getitem__


def listed_children(pid: int) -> list[int]:
    """The children of all threads of `pid`, as the kernel lists them (CONFIG_PROC_CHILDREN); none when it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as children:
                found += map(int, children.read().split())
    except OSError as error:
        if is_shortage(error):
            raise
    return found


def parent_table() -> defaultdict[int, list[int]]:
    """Every process in view by its parent: reads `stat` of them all, about 10 µs each."""
    table: defaultdict[int, list[int]] = defaultdict(list)
    for pid in processes():
        try:
            table[procfs.read_stat(pid).parent].append(pid)
        except AttestationError:
            continue  # gone since it was listed
    return table


@functools.cache
def _kernel_lists_children() -> bool:
    return os.path.exists("/proc/thread-self/children")
