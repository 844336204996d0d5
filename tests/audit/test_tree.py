"""The tree against RFC 6962's own recursion, and against the published example roots."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit import tree
from remit.errors import TamperedError
from tests.oracle import merkle

entries = st.lists(st.binary(max_size=8), max_size=70)


def leaves(of: list[bytes]) -> list[bytes]:
    return [tree.leaf_hash(entry) for entry in of]


# certificate-transparency-go, merkle tests: roots of the first 0..8 of its eight reference inputs
REFERENCE = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def test_published_roots() -> None:
    for count, root in ROOTS.items():
        assert tree.root_of(leaves(REFERENCE[:count])).hex() == root


@given(entries)
@settings(max_examples=60, deadline=None)
def test_every_prefix_has_the_root_of_the_rfc(of: list[bytes]) -> None:
    growing = tree.Tree()
    assert growing.root() == merkle.mth([])
    for size, entry in enumerate(of, 1):
        growing.append(tree.leaf_hash(entry))
        assert growing.size == size
        assert growing.root() == merkle.mth(of[:size])


@given(entries.filter(bool), st.data())
@settings(max_examples=80, deadline=None)
def test_inclusion(of: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(of) - 1))
    hashes = leaves(of)
    proof = tree.inclusion_proof(hashes, index)
    assert proof == merkle.path(index, of)
    tree.check_inclusion(hashes[index], index, len(of), proof, merkle.mth(of))
    with pytest.raises(TamperedError):
        tree.check_inclusion(tree.leaf_hash(b"another entry"), index, len(of), proof, merkle.mth(of))
    with pytest.raises(TamperedError):
        tree.check_inclusion(hashes[index], index, len(of), [*proof, bytes(32)], merkle.mth(of))


@given(entries.filter(bool), st.data())
@settings(max_examples=80, deadline=None)
def test_consistency(of: list[bytes], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(of)))
    proof = tree.consistency_proof(leaves(of), old)
    assert proof == merkle.proof(old, of)
    old_root, new_root = merkle.mth(of[:old]), merkle.mth(of)
    tree.check_consistency(old, len(of), proof, old_root, new_root)
    with pytest.raises(TamperedError):
        tree.check_consistency(old, len(of), proof, merkle.mth([b"?", *of[:old]]), new_root)
    with pytest.raises(TamperedError):
        tree.check_consistency(old, len(of), proof, old_root, merkle.mth([b"?", *of]))
    with pytest.raises(TamperedError):
        tree.check_consistency(old, len(of), [*proof, bytes(32)], old_root, new_root)


def test_a_copy_grows_apart() -> None:
    first = tree.Tree()
    first.extend(leaves([b"a", b"b", b"c"]))
    second = first.copy()
    second.append(tree.leaf_hash(b"d"))
    assert (first.size, first.root()) == (3, merkle.mth([b"a", b"b", b"c"]))
    assert second.root() == merkle.mth([b"a", b"b", b"c", b"d"])


def test_there_is_no_proof_outside_the_tree() -> None:
    with pytest.raises(IndexError):
        tree.inclusion_proof(leaves([b"a"]), 1)
    with pytest.raises(IndexError):
        tree.consistency_proof(leaves([b"a"]), 2)
    with pytest.raises(TamperedError):
        tree.check_consistency(3, 2, [], bytes(32), bytes(32))
    with pytest.raises(TamperedError):
        tree.check_consistency(3, 4, [], bytes(32), bytes(32))
