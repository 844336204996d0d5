"""Task tokens: all of the entropy, a fixed prefix, known by their digest only."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.tasks import digest, mint

ENTROPY = st.binary(min_size=32, max_size=32)


@given(ENTROPY)
def test_a_token_has_prefix_alphabet_and_length_and_is_known_by_its_digest(entropy: bytes) -> None:
    token, known_as = mint(entropy)
    assert re.fullmatch(r"remit_task_[0-9A-Za-z]{43}", token)
    assert known_as == hashlib.sha256(token.encode()).hexdigest() == digest(token)


@given(ENTROPY, ENTROPY)
def test_other_entropy_is_another_token(one: bytes, other: bytes) -> None:
    assert (mint(one)[0] == mint(other)[0]) == (one == other)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_too_little_or_too_much_entropy_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mint(b"\0" * size)


def test_leading_zeros_keep_the_length() -> None:
    assert mint(b"\0" * 32)[0] == "remit_task_" + "0" * 43
    assert len(mint(b"\xff" * 32)[0]) == len("remit_task_") + 43
