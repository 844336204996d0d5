"""SPIFFE IDs, by go-spiffe's own table of them."""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import IdentityError
from remit.identity import PrivateKey, SpiffeId


def rows(vectors: Path) -> list[dict[str, Any]]:
    lines = (vectors / "spiffe_vectors.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == "spiffeid"]


def as_id(row: dict[str, Any]) -> str:
    """The path tests of go-spiffe hold a path alone."""
    return f"spiffe://example.org{row['input']}" if row["file"] == "spiffeid/path_test.go" else str(row["input"])


def test_every_id_that_go_spiffe_takes_is_taken_unchanged(vectors: Path) -> None:
    accepted = [as_id(row) for row in rows(vectors) if row["expect"] == "accept"]
    assert len(accepted) == 112
    assert [str(SpiffeId.parse(text)) for text in accepted] == accepted


def test_every_id_that_go_spiffe_refuses_is_refused(vectors: Path) -> None:
    refused = [as_id(row) for row in rows(vectors) if row["expect"] == "reject"]
    assert len(refused) == 435
    for text in refused:
        with pytest.raises(IdentityError):
            SpiffeId.parse(text)


def test_a_newline_at_the_end_is_not_overlooked() -> None:
    for text in ("spiffe://example.org/a\n", "spiffe://example.org\n", "spiffe://example.org\n/a"):
        with pytest.raises(IdentityError):
            SpiffeId.parse(text)


def test_every_row_of_the_vectors_is_judged(vectors: Path) -> None:
    """IDs here, certificates in `test_x509_svid`, bundles in `test_bundle`, keys below: no other kind is there."""
    lines = (vectors / "spiffe_vectors.jsonl").read_text().splitlines()
    assert Counter((row["kind"], row["expect"]) for row in map(json.loads, lines)) == {
        ("spiffeid", "accept"): 112,
        ("spiffeid", "reject"): 435,
        ("x509svid", "accept"): 4,
        ("x509svid", "reject"): 10,
        ("x509svid", "key"): 2,
        ("spiffebundle", "accept"): 3,
        ("spiffebundle", "see-test"): 3,
    }
    assert len(lines) == 569


def test_of_go_spiffes_keys_the_p256_one_is_read(vectors: Path) -> None:
    lines = map(json.loads, (vectors / "spiffe_vectors.jsonl").read_text().splitlines())
    keys = {row["file"].rsplit("-", 1)[-1]: base64.b64decode(row["b64"]) for row in lines if row["expect"] == "key"}
    assert PrivateKey.from_pem(keys["ecdsa.pem"]).public.curve.name == "secp256r1"
    with pytest.raises(IdentityError, match="not a P-256 key"):  # X.509-SVIDs here are P-256's
        PrivateKey.from_pem(keys["rsa.pem"])


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://example.org/a\0",
        "spiffe://example.org\0/a",
        "spiffe://example.org/a\r\n",
        "spiffe://EXAMPLE.org/a",
        "Spiffe://example.org/a",
        f"spiffe://{'e' * 256}/a",
        "spiffe://example.org/" + "a" * (2_049 - 21),
    ],
)
def test_nul_newline_upper_case_and_length_are_refused(text: str) -> None:
    with pytest.raises(IdentityError):
        SpiffeId.parse(text)


def test_the_longest_names_are_taken() -> None:
    longest = "spiffe://example.org/" + "a" * (2_048 - 21)
    assert str(SpiffeId.parse(longest)) == longest
    assert SpiffeId.parse(f"spiffe://{'e' * 255}/a").trust_domain == "e" * 255


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
