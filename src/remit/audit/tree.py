"""The Merkle tree of RFC 6962 section 2.1: hashes, incremental roots, inclusion and consistency proofs."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from remit.errors import TamperedError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()  # RFC 6962 2.1: the hash of an empty list


def leaf_hash(stored: bytes) -> bytes:
    """The leaf hash of the exact stored bytes."""
    return sha256(b"\x00" + stored).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


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


def root_of(leaves: Sequence[bytes]) -> bytes:
    tree = Tree()
    tree.extend(leaves)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree of all `leaves` (RFC 6962 2.1.1), nearest sibling first."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path: list[bytes] = []
    start, end = 0, len(leaves)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root_of(leaves[middle:end]))
            end = middle
        else:
            path.append(root_of(leaves[start:middle]))
            start = middle
    return path[::-1]


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the tree of the first `old` leaves is a prefix of the tree of all (RFC 6962 2.1.2)."""
    if not 0 < old <= len(leaves):
        raise IndexError(old)
    proof: list[bytes] = []
    start, end, whole = 0, len(leaves), True
    while start + old != end:
        middle = _split(end - start)
        if old <= middle:
            proof.append(root_of(leaves[start + middle : end]))
            end = start + middle
        else:
            proof.append(root_of(leaves[start : start + middle]))
            start, old, whole = start + middle, old - middle, False
    if not whole:
        proof.append(root_of(leaves[start:end]))
    return proof[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise TamperedError unless `proof` shows `leaf` at `index` of the tree `root` (RFC 9162 2.1.3.2)."""
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise TamperedError("inclusion proof is too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or not 0 <= index < size or found != root:
        raise TamperedError(f"leaf {index} is not in the tree of {size} leaves with that root")


def check_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:  # noqa: C901
    """Raise TamperedError unless the tree of `old` leaves is a prefix of that of `new` (RFC 9162 2.1.4.2)."""
    if not 0 < old <= new:
        raise TamperedError(f"a tree of {new} leaves can't extend one of {old}")
    if old == new:
        if proof or old_root != new_root:
            raise TamperedError(f"two trees of {old} leaves differ")
        return
    hashes = list(proof)
    if old & (old - 1) == 0:  # the old tree is itself a node of the new one
        hashes.insert(0, old_root)
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not hashes:
        raise TamperedError("consistency proof is empty")
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise TamperedError("consistency proof is too long")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or first != old_root or second != new_root:
        raise TamperedError(f"the tree of {new} leaves does not extend that of {old}")


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (RFC 6962 2.1: k)."""
    return 1 << ((count - 1).bit_length() - 1)
