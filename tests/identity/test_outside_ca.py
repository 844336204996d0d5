"""Under an outside CA: what it gave is taken only if it is for this trust domain; outsiders verify what we sign."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from remit.errors import IdentityError, StateError
from remit.identity import Authority, PrivateKey, SpiffeId, verify_x509
from remit.identity.certificate import leaf_certificate
from remit.identity.outside_ca import read_outside
from remit.identity.x509_path import MAX_CHAIN
from tests.identity.forge import NOW, Signed
from tests.identity.outside import DAY, Files, OutsideCa, pem

AGENT = SpiffeId.parse("spiffe://example.org/agent/reader")


@pytest.fixture
def ca(tmp_path: Path) -> OutsideCa:
    tmp_path.chmod(0o700)
    return OutsideCa(tmp_path, NOW)


def authority_of(files: Files) -> Authority:
    outside = read_outside(files.chain, files.key, files.roots, "example.org", NOW)
    return replace(Authority.create("example.org", NOW), x509_authorities=(outside,))


def refused(files: Files) -> str:
    with pytest.raises(StateError) as caught:
        read_outside(files.chain, files.key, files.roots, "example.org", NOW)
    assert "PRIVATE" not in str(caught.value)
    return str(caught.value)


def constrained(*permitted: x509.GeneralName, excluded: tuple[x509.GeneralName, ...] = ()) -> x509.NameConstraints:
    return x509.NameConstraints(list(permitted) or None, list(excluded) or None)


def test_an_svid_brings_its_intermediates_and_verifies_against_the_root_alone(ca: OutsideCa) -> None:
    authority = authority_of(ca.give())
    svid = authority.issue_x509(AGENT, NOW)
    assert len(svid.chain) == 3
    assert authority.bundle().x509_authorities == (ca.root.der,)
    assert verify_x509(svid.chain, [ca.root.der], NOW, trust_domain="example.org") == AGENT
    with pytest.raises(IdentityError, match="not signed by a known authority"):
        verify_x509(svid.chain[:1], [ca.root.der], NOW, trust_domain="example.org")
    signing = authority.signing_certificates()
    assert verify_x509(svid.chain[:1], signing, NOW, trust_domain="example.org") == AGENT
    with pytest.raises(IdentityError):
        verify_x509(svid.chain, [OutsideCa(Path(), NOW).root.der], NOW, trust_domain="example.org")


def test_openssl_verifies_it_against_the_root_alone(ca: OutsideCa, tmp_path: Path) -> None:
    svid = authority_of(ca.give()).issue_x509(AGENT, NOW)
    certificates = [x509.load_der_x509_certificate(der) for der in svid.chain]
    for name, content in zip(("leaf", "signing", "middle"), certificates, strict=True):
        (tmp_path / f"{name}.pem").write_bytes(pem(Signed(content, ca.root.key)))
    (tmp_path / "between.pem").write_bytes(
        (tmp_path / "signing.pem").read_bytes() + (tmp_path / "middle.pem").read_bytes()
    )
    command = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW)), "-CAfile", "roots.pem"]
    done = subprocess.run(
        [*command, "-untrusted", "between.pem", "leaf.pem"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "leaf.pem: OK\n", done.stderr


def test_it_cant_speak_for_another_trust_domain_whatever_it_signs(ca: OutsideCa) -> None:
    authority = authority_of(ca.give())
    outside = authority.x509_authorities[0]
    other = SpiffeId.parse("spiffe://elsewhere.org/agent/reader")
    leaf = leaf_certificate(
        other, PrivateKey.generate().public, issuer=outside.certificate, key=outside.key, now=NOW, ttl=60
    )
    with pytest.raises(IdentityError, match=r"may not vouch for `elsewhere.org`"):
        verify_x509([der_of(leaf), *outside.path], [ca.root.der], NOW, trust_domain="elsewhere.org")


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda ca: ca.give(ca=False), "no CA certificate"),
        (lambda ca: ca.give(end=DAY - 60), "expired, or does within a day"),
        (lambda ca: ca.give(end=-60), "expired, or does within a day"),
        (lambda ca: ca.give(None), "not constrained to the trust domain `example.org`"),
        (lambda ca: ca.give("elsewhere.org"), "not constrained to the trust domain"),
        (lambda ca: ca.give(".example.org"), "not constrained to the trust domain"),
        (lambda ca: ca.give(constrained(x509.DNSName("example.org"))), "not constrained to the trust domain"),
        (
            lambda ca: ca.give(
                constrained(*(x509.UniformResourceIdentifier(name) for name in ("example.org", "elsewhere.org")))
            ),
            "not constrained to the trust domain",
        ),
        (lambda ca: ca.give(between="elsewhere.org"), "may not vouch for `example.org`"),
        (
            lambda ca: ca.give(between=constrained(excluded=(x509.UniformResourceIdentifier("example.org"),))),
            "may not vouch for `example.org`",
        ),
        (lambda ca: ca.give(between=constrained(x509.DNSName("example.org"))), "constrains names that are no URIs"),
    ],
)
def test_a_signing_certificate_that_would_not_do_is_refused(
    ca: OutsideCa, spoil: Callable[[OutsideCa], Files], why: str
) -> None:
    assert why in refused(spoil(ca))


def test_files_that_are_not_what_they_should_be_are_refused(ca: OutsideCa, tmp_path: Path) -> None:
    files = ca.give()
    good = {path: path.read_bytes() for path in (files.chain, files.key, files.roots)}
    stranger = ca.sign("stranger", None, ec.generate_private_key(ec.SECP256R1()), None)
    spoilt: list[tuple[Path, bytes, str]] = [
        (files.key, PrivateKey.generate().reveal_pem(), "the key is not its key"),
        (files.key, b"no key", "not an unencrypted PEM key"),
        (files.chain, b"", "no certificates"),
        (files.chain, good[files.chain][:200], "no certificates"),
        (files.chain, pem(ca.root) * (MAX_CHAIN + 1), f"more than {MAX_CHAIN}"),
        (files.chain, good[files.chain].split(b"-----END")[0], "no certificates"),
        (files.roots, b"\xff" * 10, "no certificates"),
        (files.roots, pem(stranger), "not signed by a known authority"),
    ]
    for path, content, why in spoilt:
        path.write_bytes(content)
        assert why in refused(files), why
        path.write_bytes(good[path])
    files.key.chmod(0o644)
    assert "read by others" in refused(files)
    files.key.unlink()
    assert f"can't read `{files.key}`" in refused(files)
    assert "can't read" in refused(replace(files, roots=tmp_path / "nowhere.pem"))


def test_a_signer_below_another_is_held_to_what_the_upper_one_allows(ca: OutsideCa) -> None:
    upper = ca.sign("upper", ca.root, ec.generate_private_key(ec.SECP256R1()), "example.org")
    lower = ca.sign("lower", upper, ec.generate_private_key(ec.SECP256R1()), None, ca=False)
    for issuer, chain in ((upper, [upper]), (lower, [lower, upper])):
        leaf = leaf_certificate(
            AGENT,
            PrivateKey.generate().public,
            issuer=issuer.certificate,
            key=PrivateKey(issuer.key),
            now=NOW,
            ttl=60,
        )
        ders = [der_of(leaf), *(one.der for one in chain)]
        if issuer is upper:
            assert verify_x509(ders, [ca.root.der], NOW, trust_domain="example.org") == AGENT
            for when in (NOW - 2 * DAY, NOW + 61):
                with pytest.raises(IdentityError, match="not valid now"):
                    verify_x509(ders, [ca.root.der], when, trust_domain="example.org")
        else:
            with pytest.raises(IdentityError, match="not a certificate authority"):
                verify_x509(ders, [ca.root.der], NOW, trust_domain="example.org")
