"""The tree against RFC 6962's own recursion, and against the published example roots."""

from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit import tree
from tests.audit.records import root_of
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
        assert root_of(leaves(REFERENCE[:count])).hex() == root


@given(entries)
@settings(max_examples=60, deadline=None)
def test_every_prefix_has_the_root_of_the_rfc(of: list[bytes]) -> None:
    growing = tree.Tree()
    assert growing.root() == merkle.mth([])
    for size, entry in enumerate(of, 1):
        growing.append(tree.leaf_hash(entry))
        assert growing.size == size
        assert growing.root() == merkle.mth(of[:size])


def test_a_copy_grows_apart() -> None:
    first = tree.Tree()
    first.extend(leaves([b"a", b"b", b"c"]))
    second = first.copy()
    second.append(tree.leaf_hash(b"d"))
    assert (first.size, first.root()) == (3, merkle.mth([b"a", b"b", b"c"]))
    assert second.root() == merkle.mth([b"a", b"b", b"c", b"d"])
