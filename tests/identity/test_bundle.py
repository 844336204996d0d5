"""Trust bundles: what go-spiffe wrote is read, and what is written is read back."""

import json
from pathlib import Path
from typing import Any

import pytest

from remit.errors import IdentityError
from remit.identity import Authority, Bundle
from tests.identity.forge import NOW


def fixture(vectors: Path, name: str) -> dict[str, Any]:
    lines = map(json.loads, (vectors / "spiffe_vectors.jsonl").read_text().splitlines())
    text = next(row["text"] for row in lines if row["file"].endswith(f"/{name}.json"))
    parsed: dict[str, Any] = json.loads(text)
    return parsed


@pytest.mark.parametrize(
    ("name", "jwt_keys", "sequence"),
    [("spiffebundle_valid_1", 1, 0), ("spiffebundle_valid_2", 6, 1), ("spiffebundle_valid_with_wit", 2, 1)],
)
def test_go_spiffes_good_bundles_are_read(vectors: Path, name: str, jwt_keys: int, sequence: int) -> None:
    bundle = Bundle.from_dict("domain.test", fixture(vectors, name))
    assert (len(bundle.x509_authorities), len(bundle.jwt_keys), bundle.sequence) == (1, jwt_keys, sequence)
    assert Bundle.from_dict("domain.test", bundle.to_dict()) == bundle


@pytest.mark.parametrize("name", ["spiffebundle_missing_kid", "spiffebundle_multiple_x509", "spiffebundle_no_keys"])
def test_go_spiffes_bad_bundles_are_refused(vectors: Path, name: str) -> None:
    with pytest.raises(IdentityError):
        Bundle.from_dict("domain.test", fixture(vectors, name))


def test_an_authoritys_bundle_holds_its_public_halves_only() -> None:
    authority = Authority.create("example.org", NOW)
    row = authority.bundle().to_dict()
    assert [key["use"] for key in row["keys"]] == ["x509-svid", "jwt-svid"]
    assert all(key.keys().isdisjoint({"d", "p", "q"}) for key in row["keys"])
    assert Bundle.from_dict("example.org", json.loads(json.dumps(row))) == authority.bundle()


@pytest.mark.parametrize(
    "change",
    [
        {"keys": [{"use": "x509-svid", "x5c": []}]},
        {"keys": [{"use": "x509-svid", "x5c": ["not base64"]}]},
        {"keys": [{"use": "x509-svid", "x5c": ["AAAA"]}]},
        {"keys": [{"use": "x509-svid"}]},
        {"keys": [{"use": "jwt-svid"}]},
        {"keys": [{}] * 65},
        {"keys": {}},
        {"spiffe_sequence": -1},
        {"spiffe_sequence": "1"},
        {"spiffe_refresh_hint": True},
    ],
)
def test_what_is_not_a_bundle_is_refused(change: dict[str, Any]) -> None:
    row = {**Authority.create("example.org", NOW).bundle().to_dict(), **change}
    with pytest.raises(IdentityError):
        Bundle.from_dict("example.org", row)
