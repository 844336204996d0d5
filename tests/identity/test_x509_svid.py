"""X.509-SVIDs: what is proven, and each way in which a chain proves nothing."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from remit.errors import IdentityError
from remit.identity import SpiffeId, unverified_x509_id, verify_x509
from remit.identity.x509_path import MAX_CHAIN, parse_certificates
from tests.identity.forge import BOTH_SIDES, NOW, Signed, certificate

WORKLOAD = "spiffe://example.org/agent/reader"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@pytest.fixture(scope="module")
def root() -> Signed:
    return certificate(["spiffe://example.org"], authority=True)


def test_a_chain_of_leaf_intermediate_and_authority_proves_its_id(root: Signed) -> None:
    middle = certificate(["spiffe://example.org"], root, authority=True)
    leaf = certificate([WORKLOAD], middle, purposes=BOTH_SIDES)
    assert verify_x509([leaf.der, middle.der], [root.der], NOW) == SpiffeId.parse(WORKLOAD)


def refused(leaf: Signed, *others: Signed, root: Signed, now: float = NOW) -> str:
    with pytest.raises(IdentityError) as caught:
        verify_x509([leaf.der, *(other.der for other in others)], [root.der], now)
    return str(caught.value)


@pytest.mark.parametrize(
    ("uris", "said"),
    [
        ([], "0 URI names"),
        ([WORKLOAD, "spiffe://example.org/other"], "2 URI names"),
        (["https://example.org/agent"], "must start with"),
        (["spiffe://example.org"], "names a trust domain"),
        (["spiffe://example.org/a/../b"], "relative"),
        (["spiffe://example.org/a%2Fb"], "character other than"),
        ([WORKLOAD + "\0"], "character other than"),
        ([WORKLOAD + "\n"], "character other than"),
        (["spiffe://Example.org/agent"], "trust domain `Example.org` has"),
        (["SPIFFE://example.org/agent"], "must start with"),
        (["spiffe://example.org/" + "x" * 2_048], "longer than 2048 bytes"),
    ],
)
def test_a_leaf_has_exactly_one_workload_id(root: Signed, uris: list[str], said: str) -> None:
    assert said in refused(certificate(uris, root), root=root)


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        ({"authority": True, "usages": ["digital_signature"]}, "certificate authority"),
        ({"usages": ["key_agreement"]}, "digital signatures"),
        ({"usages": ["digital_signature", "key_cert_sign"]}, "sign certificates"),
        ({"usages": ["digital_signature", "crl_sign"]}, "sign certificates"),
        ({"usage_critical": False}, "critical key usage"),
        ({"purposes": [ExtendedKeyUsageOID.CLIENT_AUTH]}, "server or client"),
        ({"purposes": [ExtendedKeyUsageOID.CODE_SIGNING]}, "server or client"),
        ({"unknown_critical": True}, "not signed by a known authority"),
        ({"curve": ec.SECP192R1()}, "key is not"),
        ({"nameless": True}, "names must be critical"),
        ({"start": 60}, "not now"),
        ({"end": -1}, "not now"),
    ],
)
def test_a_leaf_that_is_not_as_the_standard_says_is_refused(root: Signed, forgery: dict[str, Any], said: str) -> None:
    assert said in refused(certificate([WORKLOAD], root, **forgery), root=root)


def test_a_certificate_whose_rsa_key_can_be_guessed_is_refused(root: Signed, vectors: Path) -> None:
    suite = json.loads((vectors / "wycheproof" / "json_web_key_test.json").read_text())
    [row] = next(group["public"]["keys"] for group in suite["testGroups"] if group["comment"] == "jws_rsa_roca_key")
    e, n = (int.from_bytes(base64.urlsafe_b64decode(row[name] + "==")) for name in ("e", "n"))
    good = rsa.generate_private_key(65537, 2048).public_key()
    assert parse_certificates([_with_key(good, root)])
    with pytest.raises(IdentityError, match="key is not"):
        parse_certificates([_with_key(rsa.RSAPublicNumbers(e, n).public_key(), root)])


def _with_key(key: rsa.RSAPublicKey, issuer: Signed) -> bytes:
    """A certificate of `key`, otherwise as `issuer`'s own."""
    own = issuer.certificate
    builder = x509.CertificateBuilder(
        own.issuer, own.subject, key, 7, own.not_valid_before_utc, own.not_valid_after_utc
    )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_validity_ends_at_its_second(root: Signed) -> None:
    leaf = certificate([WORKLOAD], root)
    assert str(verify_x509([leaf.der], [root.der], NOW + 3600)) == WORKLOAD
    assert "not now" in refused(leaf, root=root, now=NOW + 3601)
    assert str(verify_x509([leaf.der], [root.der], NOW - 60)) == WORKLOAD
    assert "not now" in refused(leaf, root=root, now=NOW - 61)


def test_a_leaf_can_not_sign_another_leaf(root: Signed) -> None:
    mine = certificate(["spiffe://example.org/agent/mine"], root)
    assert "not a certificate authority" in refused(certificate([WORKLOAD], mine), mine, root=root)


def test_an_intermediate_must_be_allowed_to_sign(root: Signed) -> None:
    middle = certificate(["spiffe://example.org"], root, authority=True, usages=["crl_sign"])
    assert "may not sign" in refused(certificate([WORKLOAD], middle), middle, root=root)


def test_a_path_longer_than_the_authority_allows_is_refused() -> None:
    root = certificate(["spiffe://example.org"], authority=True, path_length=0)
    middle = certificate(["spiffe://example.org"], root, authority=True)
    assert "known authority" in refused(certificate([WORKLOAD], middle), middle, root=root)


def test_another_authority_of_the_same_name_proves_nothing(root: Signed) -> None:
    other = certificate(["spiffe://example.org"], authority=True)
    assert "known authority" in refused(certificate([WORKLOAD], other), root=root)
    assert "known authority" in refused(certificate([WORKLOAD], other), other, root=root)


def test_one_changed_byte_of_the_signed_part_is_noticed(root: Signed) -> None:
    der = certificate([WORKLOAD], root).der
    forged = der.replace(b"/agent/reader", b"/agent/writer")
    with pytest.raises(IdentityError, match="known authority"):
        verify_x509([forged], [root.der], NOW)


def test_an_authority_speaks_for_its_own_trust_domain_only(root: Signed) -> None:
    foreign = certificate(["spiffe://elsewhere.org/agent/reader"], root)
    assert "trust domain `example.org`" in refused(foreign, root=root)
    with pytest.raises(IdentityError, match=r"trust domain `example\.org`"):
        verify_x509([foreign.der], [root.der], NOW, trust_domain="example.org")


def test_an_authority_without_a_name_needs_its_trust_domain_from_the_caller() -> None:
    nameless = certificate([], authority=True)
    leaf = certificate([WORKLOAD], nameless)
    assert "URI names" in refused(leaf, root=nameless)
    assert str(verify_x509([leaf.der], [nameless.der], NOW, trust_domain="example.org")) == WORKLOAD


def test_an_authority_named_as_a_workload_speaks_for_nobody() -> None:
    odd = certificate([WORKLOAD], authority=True)
    assert "a workload's" in refused(certificate([WORKLOAD], odd), root=odd)


def test_empty_long_and_unreadable_chains_are_refused(root: Signed) -> None:
    leaf = certificate([WORKLOAD], root)
    for chain in ([], [leaf.der] * (MAX_CHAIN + 1), [b""], [leaf.der[:-1]], [leaf.der + b"\0"], [b"\x30" * 20_000]):
        with pytest.raises(IdentityError):
            verify_x509(chain, [root.der], NOW)
    with pytest.raises(IdentityError, match="no certificate"):
        verify_x509([leaf.der], [], NOW)


def test_go_spiffes_fixtures_are_judged_as_go_spiffe_judges_them(vectors: Path) -> None:
    lines = map(json.loads, (vectors / "spiffe_vectors.jsonl").read_text().splitlines())
    judged = []
    for row in lines:
        if row["kind"] != "x509svid" or row["expect"] not in {"accept", "reject"}:
            continue
        chain = [_der(pem) for pem in _PEM.findall(base64.b64decode(row["b64"]))]
        judged.append(row["file"])
        if row["expect"] == "accept":
            assert unverified_x509_id(chain) == SpiffeId.parse("spiffe://example.org/workload-1")
        else:
            with pytest.raises(IdentityError):
                unverified_x509_id(chain)
        with pytest.raises(IdentityError):  # all of them expired, and none signed by this authority
            verify_x509(chain, [certificate(["spiffe://example.org"], authority=True).der], NOW)
    assert len(judged) == 14


def _der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))
