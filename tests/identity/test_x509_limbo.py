"""C2SP's x509-limbo: chains that other verifiers have got wrong, each judged or listed with the reason."""

import datetime
import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from remit.errors import IdentityError
from remit.identity import verify_x509
from remit.identity.x509_constrained import check_path, path_in_order
from remit.identity.x509_path import parse_certificates, verify_path
from tests.identity.forge import NOW

# x509-limbo cases that ask for what SVIDs don't have, by name. The lists can only shrink.
NO_WEB_NAMES = "an SVID's name is its URI (X509-SVID 2): DNS and IP names of a leaf, and a common name, are not read"
NO_CRL = "SVIDs live an hour at most and have no revocation lists (X509-SVID: short lives instead)"
NO_DEPTH = "the case sets a depth limit by an argument that this function does not have: MAX_CHAIN is fixed"
HINTS = "key identifiers are hints for finding a path: RFC 5280 asks them of those who issue, X509-SVID of nobody"
PURPOSES = "a leaf's purposes are checked with the form of an X.509-SVID (4.4), before the path; tested above"
WEB_ONLY = "a rule of the Web's PKI alone (CA/Browser Forum)"
NO_AUTHORITY_AS_LEAF = "an X.509-SVID's leaf is never a certificate authority (X509-SVID 4.1)"
USAGE_NEEDED = "an X.509-SVID's signing certificate has a key usage (X509-SVID 4.3)"
NOT_APPLICABLE: dict[str, str] = {
    **dict.fromkeys(
        (
            "crl::revoked-certificate-with-crl", "crl::crlnumber-missing", "crl::crlnumber-critical",
            "crl::issuer-missing-crlsign",
        ), NO_CRL),
    "crl::issuer-no-keyusage-extension": USAGE_NEEDED,
    **dict.fromkeys(("pathlen::max-chain-depth-0-exhausted", "pathlen::max-chain-depth-1-exhausted"), NO_DEPTH),
    **dict.fromkeys(("pathlen::validation-ignores-pathlen-in-leaf", "rfc5280::ca-as-leaf"), NO_AUTHORITY_AS_LEAF),
    **dict.fromkeys(
        (
            "rfc5280::aki::leaf-missing-aki", "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::aki::cross-signed-root-missing-aki", "rfc5280::ski::root-missing-ski",
            "rfc5280::ski::intermediate-missing-ski", "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-all-fields", "webpki::aki::root-with-aki-ski-mismatch",
        ), HINTS),
    **dict.fromkeys(
        (
            "rfc5280::eku::ee-wrong-eku", "webpki::eku::ee-anyeku", "webpki::eku::ee-critical-eku",
            "webpki::eku::ee-without-eku",
        ), PURPOSES),
    **dict.fromkeys(
        (
            "webpki::forbidden-rsa-not-divisible-by-8-in-root",
            "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", "webpki::nc::permitted-dns-match-noncritical",
        ), WEB_ONLY),
    **dict.fromkeys(
        (
            "rfc5280::san::noncritical-with-empty-subject", "rfc5280::san::underscore-dns",
            "rfc5280::san::ip-in-dns", "webpki::san::public-suffix-wildcard-san",
            "webpki::san::public-suffix-multi-label-wildcard-san",
            "webpki::san::public-suffix-private-namespace-wildcard-san",
            "webpki::san::wildcard-embedded-leftmost-san", "webpki::san::wildcard-not-in-leftmost-san",
            "webpki::san::wildcard-match-across-labels-san", "webpki::san::wildcard-embedded-ulabel-san",
            "webpki::san::unicode-emoji-san", "webpki::san::san-critical-with-nonempty-subject",
            "webpki::san::san-wildcard-only", "webpki::san::san-wildcard-only-tld",
            "webpki::san::mismatch-domain-san", "webpki::san::mismatch-subdomain-san",
            "webpki::san::mismatch-subdomain-apex-san", "webpki::san::mismatch-apex-subdomain-san",
            "webpki::cn::ipv4-hex-mismatch", "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch", "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch", "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch", "webpki::cn::not-in-san", "webpki::cn::case-mismatch",
        ), NO_WEB_NAMES),
}  # fmt: skip

# Applicable, valid by RFC 5280, and refused all the same: it fails closed.
STRICTER: dict[str, str] = {
    "pathlen::self-issued-certs-pathlen": "a self-issued signer counts towards the path's length, as any other does",
    "rfc5280::nc::permitted-dn-match": "a critical constraint on directory names is not known, so nothing passes",
}


# What the form of an X.509-SVID refuses before the path is looked at (`verify_x509`, step 2).
FORM = {
    "rfc5280::leaf-ku-keycertsign": "a leaf signs no certificates (X509-SVID 4.3)",
    "rfc5280::ca-as-leaf-wrong-san": NO_AUTHORITY_AS_LEAF,
    "webpki::ca-as-leaf": NO_AUTHORITY_AS_LEAF,
    "webpki::ee-basicconstraints-ca": NO_AUTHORITY_AS_LEAF,
    "webpki::eku::root-has-eku": WEB_ONLY,
    "webpki::san::no-san": "a leaf has exactly one URI name (X509-SVID 2)",
}


def test_x509_limbo_paths_end_as_they_should(vectors: Path) -> None:
    other_than_expected, judged = set(), 0
    for case in json.loads((vectors / "x509_limbo.json").read_text())["testcases"]:
        judged += 1
        chain, roots, now = _limbo(case)
        with pytest.raises(IdentityError):  # no case holds a SPIFFE ID
            verify_x509(chain, roots, now, trust_domain="example.com")
        if _leads_to_an_authority(chain, roots, now) != (case["expected_result"] == "SUCCESS"):
            other_than_expected.add(case["id"])
    assert other_than_expected == NOT_APPLICABLE.keys() | STRICTER.keys()
    assert not NOT_APPLICABLE.keys() & STRICTER.keys()
    assert judged == 193


def test_x509_limbo_paths_that_should_fail_also_fail_under_a_constrained_signer(vectors: Path) -> None:
    """No case constrains URIs, so that each is given to what follows once a signer does (`x509_constrained`)."""
    passed = set()
    for case in json.loads((vectors / "x509_limbo.json").read_text())["testcases"]:
        chain, roots, now = _limbo(case)
        try:
            check_path(path_in_order(parse_certificates(chain), parse_certificates(roots)), now)
        except IdentityError:
            continue
        passed.add((case["id"], case["expected_result"]))
    bad = {name for name, expected in passed if expected == "FAILURE"} - NOT_APPLICABLE.keys()
    assert bad == FORM.keys()
    assert len(passed) >= 20


def _limbo(case: dict[str, Any]) -> tuple[list[bytes], list[bytes], float]:
    """The chain of a case, leaf first, its authorities, and its time."""
    chain = [ssl.PEM_cert_to_DER_cert(pem) for pem in (case["peer_certificate"], *case["untrusted_intermediates"])]
    moment = case["validation_time"]
    now = datetime.datetime.fromisoformat(moment).timestamp() if moment else NOW
    return chain, [ssl.PEM_cert_to_DER_cert(pem) for pem in case["trusted_certs"]], now


def _leads_to_an_authority(chain: list[bytes], roots: list[bytes], now: float) -> bool:
    try:
        verify_path(parse_certificates(chain), parse_certificates(roots), now)
    except IdentityError:
        return False
    return True
