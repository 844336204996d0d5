"""What an ID token must say to be a person's login, and everything that makes it none."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk, jws

from remit.errors import IdentityError, UnknownKeyError
from remit.identity.jws import MAX_ID_TOKEN_BYTES
from remit.identity.oidc_login import Login, verify_id_token
from tests.identity.forge import segment

NOW = 1_790_000_000.0
ISSUER, CLIENT, NONCE = "https://login.maple.example", "remit-laptop", "n-8c1f"
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256", "use": "sig"})
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
PSS = jwk.RSAKey.generate_key(2048, {"kid": "pss", "alg": "PS256"})
EDWARDS = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})
KEYS: dict[str, jwk.Key] = {"ES256": EC, "RS256": RSA, "PS256": PSS, "EdDSA": EDWARDS}
OCT = jwk.OctKey.import_key("0" * 64)


def public(*keys: jwk.Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


JWKS = public(*KEYS.values())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER, "sub": "24400320", "aud": CLIENT, "exp": NOW + 300, "iat": NOW - 2, "nonce": NONCE,
}  # fmt: skip


def token(changes: Mapping[str, Any] = {}, *, without: str = "", key: jwk.Key = EC, **header: Any) -> str:
    """An ID token with `changes` to good claims; a header value of None leaves that name out."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if name != without}
    row = {name: value for name, value in {"alg": "ES256", "kid": key.kid, **header}.items() if value is not None}
    return signed(json.dumps(row), json.dumps(claims), key, row["alg"])


def signed(header: str, claims: str, key: jwk.Key, algorithm: str) -> str:
    """By joserfc's algorithm itself, which signs whatever it is given."""
    text = f"{segment(header.encode())}.{segment(claims.encode())}"
    return f"{text}.{segment(jws.JWSRegistry.algorithms[algorithm].sign(text.encode(), key))}"


def login(text: str, jwks: Mapping[str, Any] = JWKS, now: float = NOW) -> Login:
    return verify_id_token(text, jwks, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, now=now)


def refusal(text: str, jwks: Mapping[str, Any] = JWKS, now: float = NOW) -> str:
    with pytest.raises(IdentityError) as caught:
        login(text, jwks, now)
    return str(caught.value)


def test_a_good_token_says_who_logged_in_where() -> None:
    assert login(token()) == Login(ISSUER, "24400320", None)
    assert login(token({"auth_time": NOW - 60})).authenticated == NOW - 60


@pytest.mark.parametrize("algorithm", KEYS)
def test_each_algorithm_goes_with_its_kind_of_key(algorithm: str) -> None:
    assert login(token(key=KEYS[algorithm], alg=algorithm)).subject == "24400320"


def test_the_newer_name_of_eddsa_needs_a_key_that_has_it() -> None:
    named = jwk.OKPKey.generate_key("Ed25519", {"kid": "named", "alg": "Ed25519"})
    assert login(token(key=named, alg="Ed25519"), public(named)).subject == "24400320"
    assert "not its key's" in refusal(token(key=named, alg="EdDSA"), public(named))


def test_a_key_without_a_name_is_taken_where_it_is_the_only_one() -> None:
    lone = jwk.ECKey.generate_key("P-256")
    text = token(key=lone, kid=None)
    assert login(text, public(lone)).subject == "24400320"
    assert "with which of the provider's keys" in refusal(text, public(lone, EC))


def test_other_names_in_the_header_are_ignored_as_jws_asks() -> None:
    assert login(token(x5t="dGh1bWI", made_by="maple", typ="JWT")).subject == "24400320"


def test_keys_for_other_uses_do_not_spoil_the_set() -> None:
    secret = {"kty": "oct", "kid": "shared", "k": "AAAA"}
    for other in (jwk.ECKey.generate_key("P-256", {"kid": "e", "use": "enc"}).as_dict(private=False), secret, {}):
        assert login(token(), {"keys": [other, *public(EC)["keys"]]}).subject == "24400320"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iss": ISSUER + "/"}, "is not from"),
        ({"aud": "another"}, "is not for client"),
        ({"aud": []}, "is not for client"),
        ({"aud": {CLIENT: 1}}, "is not for client"),
        ({"aud": [CLIENT, "another"]}, "doesn't say which asked"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "another client"),
        ({"azp": "another"}, "another client"),
        ({"nonce": "n-8c1e"}, "for another login"),
        ({"nonce": "\ud800"}, "for another login"),
        ({"exp": NOW - 30}, "has expired"),
        ({"exp": "soon"}, "no `exp`"),
        ({"iat": NOW + 31}, "in the future"),
        ({"iat": NOW - 601}, "600 s ago"),
        ({"iat": True}, "no `iat`"),
        ({"nbf": NOW + 31}, "not valid yet"),
        ({"auth_time": NOW + 31}, "only in the future"),
        ({"sub": ""}, "`sub` is not"),
        ({"sub": "a" * 256}, "`sub` is not"),
        ({"sub": 7}, "`sub` is not"),
        ({"sub": "ada\n"}, "can't be shown"),
    ],
)  # fmt: skip
def test_a_token_that_says_otherwise_is_no_login(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(token(changes))


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_must_be_there(name: str) -> None:
    assert refusal(token(without=name))


def test_several_audiences_are_taken_when_this_client_asked() -> None:
    assert login(token({"aud": [CLIENT, "another"], "azp": CLIENT})).subject == "24400320"


@pytest.mark.parametrize(
    ("key", "header", "said"),
    [
        (EC, {"alg": "none"}, "not its key's"),
        (OCT, {"alg": "HS256", "kid": "ec"}, "not its key's"),
        (RSA, {"alg": "PS256"}, "not its key's"),  # the key names no algorithm: it is for RS256 alone
        (PSS, {"alg": "RS256"}, "not its key's"),
        (EC, {"crit": ["exp"], "exp": 1}, "no `crit`"),
        (EC, {"typ": "at+jwt"}, "`typ` is not `JWT`"),
        (EC, {"typ": "logout+jwt"}, "`typ` is not `JWT`"),
        (RSA, {"alg": "RS256", "kid": "pss"}, "not its key's"),
        (jwk.ECKey.generate_key("P-256"), {"kid": "ec"}, "signature is not good"),
    ],
)  # fmt: skip
def test_a_token_that_another_way_was_signed_is_no_login(key: jwk.Key, header: dict[str, Any], said: str) -> None:
    assert said in refusal(token(key=key, **header))


def test_an_unknown_key_is_told_apart_so_that_the_set_is_fetched_anew() -> None:
    later = jwk.ECKey.generate_key("P-256", {"kid": "later"})
    with pytest.raises(UnknownKeyError, match="is not the provider's"):
        login(token(key=later))


def test_a_key_for_another_use_is_none_of_these() -> None:
    encrypting = jwk.ECKey.generate_key("P-256", {"kid": "e", "use": "enc"})
    assert "is not the provider's" in refusal(token(key=encrypting), public(encrypting))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(st.sampled_from([*CLAIMS, "azp", "auth_time", "nbf"]), JSON)
def test_whatever_a_claim_is_the_answer_is_a_login_or_a_refusal(name: str, value: Any) -> None:
    try:
        assert login(token({name: value})).issuer == ISSUER
    except IdentityError:
        assert CLAIMS.get(name, "none") != value


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops"]), JSON))
def test_whatever_a_key_is_the_others_are_used(changes: dict[str, Any]) -> None:
    odd = {**public(RSA)["keys"][0], **changes}
    try:
        assert login(token(), {"keys": [odd, *public(EC)["keys"]]}).subject == "24400320"
    except IdentityError:
        assert odd.get("kid") == "ec"


def test_two_keys_with_one_name_are_neither() -> None:
    other = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
    assert "is not the provider's" in refusal(token(), public(EC, other))


@pytest.mark.parametrize("jwks", [{}, {"keys": {}}, {"keys": [1]}, {"keys": [{}] * 65}])
def test_a_key_set_that_is_none_is_said_to_be_none(jwks: dict[str, Any]) -> None:
    assert "key set is not" in refusal(token(), jwks)


def test_a_token_has_a_size() -> None:
    assert login(token({"groups": "g" * 8_200})).subject == "24400320"  # longer than any JWT-SVID may be
    assert f"longer than {MAX_ID_TOKEN_BYTES}" in refusal(token({"groups": "g" * MAX_ID_TOKEN_BYTES}))


def test_a_name_said_twice_is_refused() -> None:
    twice = json.dumps(CLAIMS)[:-1] + ', "sub": "root"}'
    assert "strict JSON" in refusal(signed('{"alg":"ES256","kid":"ec"}', twice, EC, "ES256"))
