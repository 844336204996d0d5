"""JWT-SVIDs: what is proven, and each way in which a token proves nothing."""

import base64
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import SecurityWarning

from remit.errors import IdentityError
from remit.identity import Authority, JwtKeys, PrivateKey, SpiffeId, verify_jwt
from remit.identity.bundle import public_jwk
from remit.identity.jws import MAX_TOKEN_BYTES, VerifyingKey, verify_jws
from remit.identity.jwt_svid import CLOCK_LEEWAY
from remit.identity.roca import guessable
from tests.identity.forge import NOW, segment, token

KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = {"keys": [{"use": "jwt-svid", "kid": "k1", **public_jwk(KEY.public_key())}]}
HEADER = {"alg": "ES256", "kid": "k1", "typ": "JWT"}
CLAIMS = {"sub": "spiffe://example.org/agent", "aud": ["gateway"], "exp": NOW + 60, "iat": NOW, "jti": "j"}


def verify(header: Any = HEADER, claims: Any = CLAIMS, now: float = NOW) -> str:
    proven = verify_jwt(token(KEY, header, claims), JWKS, "gateway", now, trust_domain="example.org")
    return str(proven.spiffe_id)


def with_claims(**claims: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}


def test_a_good_token_proves_its_subject() -> None:
    assert verify() == "spiffe://example.org/agent"
    assert verify(header={"alg": "ES256", "kid": "k1"}) == "spiffe://example.org/agent"
    assert verify(claims=with_claims(aud="gateway", jti=None)) == "spiffe://example.org/agent"


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": "HS256"},
        {**HEADER, "alg": "RS256"},
        {**HEADER, "alg": "ES384"},
        {**HEADER, "alg": ["ES256"]},
        {**HEADER, "kid": "k2"},
        {**HEADER, "typ": "at+jwt"},
        {**HEADER, "crit": ["exp"], "exp": 1},
        {**HEADER, "crit": ["b64"], "b64": False},
        {**HEADER, "jwk": JWKS["keys"][0]},
        {**HEADER, "jku": "https://a.example/keys"},
        {**HEADER, "cty": "JWT"},
        {**HEADER, "x": "a" * 600},
        {"alg": "ES256"},
        {"kid": "k1"},
        '{"alg":"ES256","kid":"k2","kid":"k1"}',
        "[]",
        "",
        "{" * 400,
    ],
)
def test_a_header_other_than_a_jwt_svids_is_refused(header: Any) -> None:
    with pytest.raises(IdentityError):
        verify(header=header)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        (with_claims(sub=None), "no `sub`"),
        (with_claims(sub="spiffe://example.org"), "trust domain, not a workload"),
        (with_claims(sub="spiffe://example.org/agent\n"), "character other than"),
        (with_claims(sub="spiffe://example.org/agent\0"), "character other than"),
        (with_claims(sub="spiffe://Example.org/agent"), "trust domain `Example.org` has"),
        (with_claims(sub="SPIFFE://example.org/agent"), "must start with"),
        (with_claims(sub="spiffe://example.org/" + "x" * 2_048), "longer than 2048 bytes"),
        (with_claims(sub="spiffe://elsewhere.org/agent"), "trust domain `example.org`"),
        (with_claims(sub=["spiffe://example.org/agent"]), "no `sub`"),
        (with_claims(exp=None), "no `exp`"),
        (with_claims(exp=str(NOW + 60)), "no `exp`"),
        (with_claims(exp=True), "no `exp`"),
        (with_claims(exp=10**400), "out of range"),
        (with_claims(exp=NOW - CLOCK_LEEWAY), "expired"),
        (with_claims(nbf=NOW + CLOCK_LEEWAY + 1), "not valid yet"),
        (with_claims(nbf="soon"), "`nbf`"),
        (with_claims(aud=None), "no `aud`"),
        (with_claims(aud=[]), "no `aud`"),
        (with_claims(aud=["other"]), "not for"),
        (with_claims(aud="gateway2"), "not for"),
        (with_claims(aud=[["gateway"]]), "not text"),
        (with_claims(aud=["gateway"] * 17), "more than 16"),
        (with_claims(jti=7), "`jti`"),
        ('{"sub":"spiffe://example.org/a","sub":"spiffe://example.org/b","aud":"gateway","exp":1e12}', "strict JSON"),
        ('{"sub":"spiffe://example.org/a","aud":"gateway","exp":NaN}', "strict JSON"),
        ('{"sub":"spiffe://example.org/a","aud":"gateway","exp":1e999}', "out of range"),
        ("[1]", "not a JSON object"),
    ],
)
def test_claims_that_prove_nothing_are_refused(claims: Any, said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        verify(claims=claims)


def test_expiry_has_a_small_leeway_and_no_more() -> None:
    assert verify(now=NOW + 60 + CLOCK_LEEWAY - 1)
    with pytest.raises(IdentityError, match="expired"):
        verify(now=NOW + 60 + CLOCK_LEEWAY)


def test_the_none_algorithm_needs_no_signature_and_gets_no_trust() -> None:
    unsigned = token(KEY, {**HEADER, "alg": "none"}, CLAIMS).rsplit(".", 1)[0] + "."
    with pytest.raises(IdentityError):
        verify_jwt(unsigned, JWKS, "gateway", NOW)


def test_a_token_of_another_key_is_refused() -> None:
    forged = token(ec.generate_private_key(ec.SECP256R1()), HEADER, CLAIMS)
    with pytest.raises(IdentityError, match="signature"):
        verify_jwt(forged, JWKS, "gateway", NOW)


def test_a_segment_in_other_than_canonical_base64url_is_refused() -> None:
    header, payload, signature = token(KEY, HEADER, CLAIMS).split(".")
    last = signature[-1]
    next_to_last_bits = chr(ord(last) + 1)  # 64 bytes leave 4 unused bits in the last character
    spellings = [
        f"{header}=.{payload}.{signature}", f"{header}.{payload}=.{signature}", f"{header}.{payload}.{signature}==",
        f"{header}.{payload}.{signature[:-1]}{next_to_last_bits}", f"{header}.{payload}.{signature}\n",
        f" {header}.{payload}.{signature}", f"{header}.{payload}.{signature[:4]} {signature[4:]}",
        f"{header}.{payload}.+{signature[1:]}", f"{header}.{payload}", f"{header}.{payload}.{signature}.",
        f"{header}.{payload}.", "..", "", "é.é.é", "A" * (MAX_TOKEN_BYTES + 1),
    ]  # fmt: skip
    for spelling in spellings:
        with pytest.raises(IdentityError):
            verify_jwt(spelling, JWKS, "gateway", NOW)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_taken_for_a_token(header: str, payload: str, signature: str) -> None:
    with pytest.raises(IdentityError):
        verify_jwt(f"{header}.{payload}.{signature}", JWKS, "gateway", NOW)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_changed_byte_is_overlooked(place: int, change: int) -> None:
    good = token(KEY, HEADER, CLAIMS).encode()
    at = place % len(good)
    forged = good[:at] + bytes([good[at] ^ change]) + good[at + 1 :]
    with pytest.raises(IdentityError):
        verify_jwt(forged.decode("latin-1"), JWKS, "gateway", NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"kid": None},
        {"kid": ""},
        {"kty": "oct", "k": "AAAA"},
        {"kty": ["EC"]},
        {"crv": "secp256k1"},
        {"x": "AAAA"},
        {"x": 7},
        {"y": None},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": ["ES256"]},
        {"alg": ""},
        {"key_ops": ["encrypt"]},
        {"key_ops": 7},
    ],
)
def test_a_key_that_can_not_verify_is_refused(change: dict[str, Any]) -> None:
    row = {name: value for name, value in {**JWKS["keys"][0], **change}.items() if value is not None}
    with pytest.raises(IdentityError):
        JwtKeys.parse({"keys": [row]})


def test_a_short_rsa_key_is_refused_and_a_long_one_is_not() -> None:
    long = {"use": "jwt-svid", "kid": "k", **public_jwk(rsa.generate_private_key(65537, 2048).public_key())}
    assert JwtKeys.parse({"keys": [long]}).by_kid["k"].algorithm == "RS256"
    for alg in ("ES256", ["RS256"], "none", ""):
        with pytest.raises(IdentityError, match="no algorithm"):
            JwtKeys.parse({"keys": [{**long, "alg": alg}]})
    short = {**long, "n": segment(((1 << 1535) + 1).to_bytes(192, "big"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # as in production, where warnings are no errors
        with pytest.raises(IdentityError, match="shorter than 2048 bits"):
            JwtKeys.parse({"keys": [short]})
    with pytest.raises(IdentityError, match="2048 bits"):
        JwtKeys.parse({"keys": [short]})


def test_an_rsa_key_that_can_be_guessed_is_refused(vectors: Path) -> None:
    """Wycheproof's key of a faulty chip."""
    suite = json.loads((vectors / "wycheproof" / "json_web_key_test.json").read_text())
    [row] = next(group["public"]["keys"] for group in suite["testGroups"] if group["comment"] == "jws_rsa_roca_key")
    with pytest.raises(IdentityError, match="CVE-2017-15361"):
        VerifyingKey.parse(row)
    good = (rsa.generate_private_key(65537, 2048).public_key().public_numbers().n for _ in range(3))
    assert not any(map(guessable, good))


@pytest.mark.parametrize(
    ("key", "members", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), {}, "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), {}, "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), {}, "ES512"),
        (rsa.generate_private_key(65537, 2048), {}, "RS256"),
        (rsa.generate_private_key(65537, 2048), {"alg": "PS384"}, "PS384"),
    ],
)
def test_a_key_has_one_algorithm(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, members: dict[str, str], algorithm: str
) -> None:
    row = {"use": "jwt-svid", "kid": "k", **public_jwk(key.public_key()), **members}
    assert JwtKeys.parse({"keys": [row]}).by_kid["k"].algorithm == algorithm


def test_a_key_set_must_be_one() -> None:
    for jwks in ({}, {"keys": 7}, {"keys": [7]}, {"keys": [JWKS["keys"][0]] * 2}):
        with pytest.raises(IdentityError):
            JwtKeys.parse(jwks)


def test_keys_for_other_uses_are_skipped() -> None:
    keys = JwtKeys.parse({"keys": [{**JWKS["keys"][0], "use": "wit-svid"}, {"use": "x509-svid"}]})
    with pytest.raises(IdentityError, match="not the trust domain's"):
        verify_jwt(token(KEY, HEADER, CLAIMS), keys, "gateway", NOW)


def test_parsed_keys_remember_their_trust_domain() -> None:
    keys = JwtKeys.parse(JWKS, trust_domain="elsewhere.org")
    with pytest.raises(IdentityError, match=r"trust domain `elsewhere\.org`"):
        verify_jwt(token(KEY, HEADER, CLAIMS), keys, "gateway", NOW)


def test_the_authoritys_own_tokens_are_good_until_they_end() -> None:
    authority = Authority.create("example.org", NOW)
    agent = SpiffeId.parse("spiffe://example.org/agent")
    svid = authority.issue_jwt(agent, ("gateway", "other"), NOW, ttl=10)
    proven = verify_jwt(svid.token.reveal(), authority.bundle().jwks(), "other", NOW, trust_domain="example.org")
    assert (proven.spiffe_id, proven.audience, proven.expires, proven.id) == (
        agent, ("gateway", "other"), NOW + 10, svid.id,
    )  # fmt: skip
    assert svid.token.reveal() not in repr(svid)


# Valid tokens that are no JWT-SVID's; the list can only shrink.
SHARED_SECRET = "signed with a secret that the verifier knows too: never a JWT-SVID (JWT-SVID 2.1)"
OTHER_ALGORITHM = "its key names another algorithm, or one that is not registered (`ES521`)"
WYCHEPROOF_EXCEPTIONS: dict[int, str] = {
    **dict.fromkeys((1, 348, 352, 357, 358, 359, 372, 373, 376, 377), SHARED_SECRET),
    **dict.fromkeys((346, 347, 350, 351), OTHER_ALGORITHM),
}


def test_wycheproofs_signatures_are_judged_as_they_should_be(vectors: Path) -> None:
    suite = json.loads((vectors / "wycheproof" / "json_web_signature_test.json").read_text())
    accepted, valid, judged = set(), set(), 0
    for group in suite["testGroups"]:
        keys = _wycheproof_keys(group)
        for case in group["tests"]:
            judged += 1
            if case["result"] == "valid":
                valid.add(case["tcId"])
            if _accepted(case["jws"], keys):
                accepted.add(case["tcId"])
    assert judged == 401
    assert accepted - valid == set()
    assert valid - accepted == set(WYCHEPROOF_EXCEPTIONS)


def _wycheproof_keys(group: dict[str, Any]) -> dict[str, VerifyingKey]:
    row = {name: value for name, value in group.get("public", group["private"]).items() if name != "d"}
    if row.get("use", "sig") != "sig":  # as `use: jwt-svid` is asked for in a bundle
        return {}
    try:
        key = VerifyingKey.parse(row)
    except IdentityError:
        return {}
    return {key.kid: key}


def _accepted(jws: str, keys: Mapping[str, VerifyingKey]) -> bool:
    try:
        verify_jws(jws, keys)
    except IdentityError:
        return False
    return True


@pytest.mark.parametrize(
    ("suite", "signed", "shared"),
    [("json_web_key_test", 26, {2, 13, 14, 15}), ("json_web_crypto_test", 49, {1, 48})],
)
def test_wycheproofs_keys_are_judged_as_they_should_be(
    vectors: Path, suite: str, signed: int, shared: set[int]
) -> None:
    """The valid ones that are refused are signed with a secret that the verifier knows too: never a JWT-SVID."""
    groups = json.loads((vectors / "wycheproof" / f"{suite}.json").read_text())["testGroups"]
    cases = [
        (group, case) for group in groups for case in group["tests"] if "jws" in case
    ]  # the others are encrypted
    accepted = {case["tcId"] for group, case in cases if _accepted(_compact(case["jws"]), _wycheproof_key_set(group))}
    valid = {case["tcId"] for _, case in cases if case["result"] == "valid"}
    assert len(cases) == signed
    assert accepted - valid == set()
    assert valid - accepted == shared


def _compact(jws: str | dict[str, Any]) -> str:
    return jws if isinstance(jws, str) else json.dumps(jws)  # JSON serialization: never a JWT-SVID (JWT-SVID 1)


def _wycheproof_key_set(group: dict[str, Any]) -> Mapping[str, VerifyingKey]:
    """Its keys as a bundle's: what is there for signatures is there for JWT-SVIDs."""
    material = group.get("public", group["private"])
    rows = [{**row, "use": "jwt-svid"} for row in material.get("keys", [material]) if row["use"] == "sig"]
    try:
        return JwtKeys.parse({"keys": rows}).by_kid
    except IdentityError:
        return {}


def test_wycheproofs_base64_cases_hold_for_our_own_algorithm(vectors: Path) -> None:
    """Its base64 group is signed with a shared secret, which is refused anyway: the same spellings, under ES256."""
    good = token(KEY, HEADER, CLAIMS)
    keys = {"k1": VerifyingKey.parse(JWKS["keys"][0])}
    assert _accepted(good, keys)
    for part in range(3):
        for spoilt in ("{}=", "{}==", " {}", "{} ", "?{}", "{}####", "{}\n", "{}\0"):
            segments = good.split(".")
            segments[part] = spoilt.format(segments[part])
            assert not _accepted(".".join(segments), keys)


def test_a_private_key_hides_itself() -> None:
    key = PrivateKey.generate()
    inner = key.reveal().private_numbers().private_value
    assert str(inner) not in repr(key)
    assert base64.b64encode(inner.to_bytes(32, "big")).decode() not in repr(key)
    with pytest.raises(TypeError):
        key.__reduce__()
