"""SPIFFE IDs, by go-spiffe's own table of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import IdentityError
from remit.identity import SpiffeId


def rows(vectors: Path) -> list[dict[str, Any]]:
    lines = (vectors / "spiffe_vectors.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == "spiffeid"]


def as_id(row: dict[str, Any]) -> str:
    """The path tests of go-spiffe hold a path alone."""
    return f"spiffe://example.org{row['input']}" if row["file"] == "spiffeid/path_test.go" else str(row["input"])


def test_every_id_that_go_spiffe_takes_is_taken_unchanged(vectors: Path) -> None:
    accepted = [as_id(row) for row in rows(vectors) if row["expect"] == "accept"]
    assert len(accepted) >= 100
    assert [str(SpiffeId.parse(text)) for text in accepted] == accepted


def test_every_id_that_go_spiffe_refuses_is_refused(vectors: Path) -> None:
    refused = [as_id(row) for row in rows(vectors) if row["expect"] == "reject"]
    assert len(refused) >= 400
    for text in refused:
        with pytest.raises(IdentityError):
            SpiffeId.parse(text)


def test_a_newline_at_the_end_is_not_overlooked() -> None:
    for text in ("spiffe://example.org/a\n", "spiffe://example.org\n", "spiffe://example.org\n/a"):
        with pytest.raises(IdentityError):
            SpiffeId.parse(text)


@given(st.text(max_size=60))
def test_no_text_gets_past_the_parser_changed(text: str) -> None:
    for candidate in (text, f"spiffe://{text}", f"spiffe://example.org/{text}"):
        try:
            parsed = SpiffeId.parse(candidate)
        except IdentityError:
            continue
        assert str(parsed) == candidate
        assert SpiffeId.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://a", "`http://a` is not a SPIFFE ID: it must start with `spiffe://`"),
        ("spiffe://Oak/x", "`spiffe://Oak/x` is not a SPIFFE ID: trust domain `Oak` has"),
        ("spiffe://oak/a b", "`spiffe://oak/a b` is not a SPIFFE ID: path segment `a b` is empty"),
        ("spiffe:///x", "`spiffe:///x` is not a SPIFFE ID: the trust domain is missing"),
        ("spiffe://oak/a\n\x1b[2J", "`spiffe://oak/a\\n\\x1b[2J` is not"),  # nothing that a terminal would act on
    ],
)
def test_what_is_wrong_is_quoted_once(text: str, says: str) -> None:
    with pytest.raises(IdentityError) as refused:
        SpiffeId.parse(text)
    assert str(refused.value).startswith(says)
