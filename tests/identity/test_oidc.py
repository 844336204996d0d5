"""What relying parties read: the keys, discovery, the token endpoint's metadata; and the issuer in a token."""

import json
from typing import Any

import jwt
import pytest
from jwt import PyJWK, PyJWKSet

from remit.errors import IdentityError
from remit.identity import Authority, Bundle, SpiffeId, verify_jwt
from remit.identity.oidc import authorization_server, discovery, jwks
from remit.identity.rotation import PACE, next_published, turn
from tests.identity.forge import NOW

AGENT = SpiffeId.parse("spiffe://example.org/agent/reader")
ISSUER = "https://id.example.com/remit"


def stages() -> dict[str, Authority]:
    """The authority through one rotation."""
    first = Authority.create("example.org", NOW)
    prepared = turn(first, NOW, asked=True)
    assert prepared is not None
    active = turn(prepared[1], NOW + PACE.published)
    assert active is not None
    return {"first": first, "prepared": prepared[1], "active": active[1]}


def accepts(keys: dict[str, Any], token: str, issuer: str) -> bool:
    """Whether an OpenID Connect client that is not ours takes the token, as of when it was issued."""
    by_id = {key.key_id: key for key in PyJWKSet.from_dict(keys).keys}
    key: PyJWK = by_id[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "aud", "exp"]}
    claims = jwt.decode(token, key, ["ES256"], audience="cloud", issuer=issuer, options=options)
    return bool(claims["sub"] == str(AGENT))


def test_the_keys_are_every_token_key_that_signs_will_sign_or_lately_did() -> None:
    published = {name: {key["kid"] for key in jwks(one.bundle())["keys"]} for name, one in stages().items()}
    assert (len(published["first"]), len(published["prepared"])) == (1, 2)
    assert published["active"] == published["prepared"] > published["first"]


@pytest.mark.parametrize("stage", ["first", "prepared", "active"])
def test_the_keys_have_no_private_part_and_are_for_signatures(stage: str) -> None:
    authority = stages()[stage]
    for key in jwks(authority.bundle())["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["use"], key["alg"], key["kty"], key["crv"]) == ("sig", "ES256", "EC", "P-256")
    certificates = authority.bundle().x509_authorities
    assert len(jwks(authority.bundle())["keys"]) == len(certificates), "and nothing of the certificates"


def test_nothing_of_a_key_but_its_public_members_is_passed_on() -> None:
    [key] = Authority.create("example.org", NOW).bundle().jwt_keys
    bundle = Bundle("example.org", (), ({**key, "d": "private", "x5u": "https://elsewhere.example"},))
    assert jwks(bundle) == jwks(Bundle("example.org", (), (key,)))


@pytest.mark.parametrize("change", [{"crv": "P-384"}, {"kty": "RSA"}, {"kid": None}], ids=str)
def test_a_key_that_could_not_verify_is_not_left_out_in_silence(change: dict[str, Any]) -> None:
    [key] = Authority.create("example.org", NOW).bundle().jwt_keys
    spoilt = {name: value for name, value in (key | change).items() if value is not None}
    with pytest.raises(IdentityError, match="can be published"):
        jwks(Bundle("example.org", (), (spoilt,)))


def test_keys_published_before_a_rotation_verify_what_is_signed_after_it() -> None:
    all_stages = stages()
    before = jwks(all_stages["prepared"].bundle())
    after = jwks(all_stages["active"].bundle())
    old = all_stages["prepared"].issue_jwt(AGENT, ("cloud",), NOW, issuer=ISSUER).token.reveal()
    new = all_stages["active"].issue_jwt(AGENT, ("cloud",), NOW, issuer=ISSUER).token.reveal()
    assert accepts(before, new, ISSUER)
    assert accepts(after, old, ISSUER)


def test_a_token_names_its_issuer_only_where_there_is_one() -> None:
    authority = Authority.create("example.org", NOW)
    keys = jwks(authority.bundle())
    without = authority.issue_jwt(AGENT, ("cloud",), NOW).token.reveal()
    named = authority.issue_jwt(AGENT, ("cloud",), NOW, issuer=ISSUER).token.reveal()
    assert accepts(keys, named, ISSUER)
    with pytest.raises(jwt.MissingRequiredClaimError):
        accepts(keys, without, ISSUER)
    with pytest.raises(jwt.InvalidIssuerError):
        accepts(keys, named, "https://id.example.com")
    for token in (without, named):
        assert verify_jwt(token, authority.bundle().jwks(), "cloud", NOW).spiffe_id == AGENT


def test_discovery_has_what_the_standard_requires() -> None:
    document = discovery(ISSUER)
    assert (document["issuer"], document["jwks_uri"]) == (ISSUER, ISSUER + "/keys")
    required = {"issuer", "authorization_endpoint", "jwks_uri", "response_types_supported"}  # Discovery 1.0, 3
    required |= {"subject_types_supported", "id_token_signing_alg_values_supported"}
    assert required <= set(document)
    assert document["id_token_signing_alg_values_supported"] == ["ES256"]
    assert all(document[name] for name in required)
    json.dumps(document)


def test_the_token_endpoints_metadata_says_where_it_is_and_what_it_takes() -> None:
    document = authorization_server(ISSUER, "http://127.0.0.1:7400/oauth", ["infer", "list"])
    assert document["issuer"] == ISSUER
    assert document["token_endpoint"] == "http://127.0.0.1:7400/oauth/token"
    assert document["revocation_endpoint"] == "http://127.0.0.1:7400/oauth/revoke"
    assert document["jwks_uri"] == "http://127.0.0.1:7400/oauth/keys"
    assert document["grant_types_supported"] == ["urn:ietf:params:oauth:grant-type:token-exchange"]
    assert document["scopes_supported"] == ["infer", "list"]
    assert "scopes_supported" not in authorization_server(ISSUER, "http://127.0.0.1:7400/oauth", [])
    assert document["response_types_supported"] == []
    assert document["token_endpoint_auth_methods_supported"] == ["none", "spiffe_jwt"]
    assert document["authorization_details_types_supported"] == ["remit_task"]


def test_when_new_keys_come_is_when_the_rotation_prepares_them() -> None:
    authority = Authority.create("example.org", NOW)
    due = next_published(authority)
    assert turn(authority, due - 1) is None
    prepared = turn(authority, due)
    assert prepared is not None
    active = turn(prepared[1], due + PACE.published)
    assert active is not None
    for _, one in (prepared, active):  # those keys are published now: the ones after them are meant
        assert next_published(one) == pytest.approx(due + (due - NOW), abs=2)
