"""The Merkle tree of RFC 6962 section 2.1: leaf hashes and incremental roots.

No inclusion or consistency proofs: whoever verifies has the whole log, and computes the root of each saved size anew.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()  # RFC 6962 2.1: the hash of an empty list


def leaf_hash(stored: bytes) -> bytes:
    """The leaf hash of the exact stored bytes."""
    return sha256(b"\x00" + stored).digest()


class Tree:
    """A tree that only grows. It keeps the roots of its perfect subtrees, largest first: O(log size) memory."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        peaks, size = self._peaks, self.size
        while size & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root over everything appended so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = sha256(b"\x01" + peak + root).digest()
        return root

    def copy(self) -> "Tree":
        twin = Tree()
        twin.size, twin._peaks = self.size, list(self._peaks)
        return twin
