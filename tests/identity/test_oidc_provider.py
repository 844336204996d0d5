"""What a provider's discovery document must say, and which of its addresses secrets may go to."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import IdentityError
from remit.identity.oidc_provider import OpenIdProvider, check_url, discovery_url

ISSUER = "https://login.maple.example"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": ISSUER + "/auth",
    "token_endpoint": ISSUER + "/token",
    "jwks_uri": "https://keys.maple.example/jwks",
}


def parse(**changes: Any) -> OpenIdProvider:
    row = {name: value for name, value in {**DOCUMENT, **changes}.items() if value is not None}
    return OpenIdProvider.parse(json.dumps(row).encode(), ISSUER)


def test_the_document_says_where_all_is() -> None:
    provider = parse(authorization_response_iss_parameter_supported=True)
    assert provider == OpenIdProvider(
        ISSUER,
        ISSUER + "/auth",
        ISSUER + "/token",
        "https://keys.maple.example/jwks",
        names_itself=True,
        authentication="client_secret_basic",
    )
    assert not parse().names_itself


def test_a_secret_goes_in_the_body_only_where_it_must() -> None:
    basic, post = "client_secret_basic", "client_secret_post"
    assert parse(token_endpoint_auth_methods_supported=[post]).authentication == post
    assert parse(token_endpoint_auth_methods_supported=[post, basic]).authentication == basic


@pytest.mark.parametrize("issuer", [ISSUER, ISSUER + "/"])
def test_the_document_is_below_the_issuer(issuer: str) -> None:
    assert discovery_url(issuer) == ISSUER + "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": ISSUER + "/"}, "calls itself"),
        ({"issuer": None}, "calls itself"),
        ({"token_endpoint": None}, "where its `token_endpoint` is"),
        ({"jwks_uri": ["https://a.example"]}, "where its `jwks_uri` is"),
        ({"jwks_uri": "http://keys.maple.example"}, "is not `https`"),
        ({"jwks_uri": "http://127.0.0.1/keys"}, "is on this machine, and the provider is not"),
        ({"response_types_supported": ["id_token"]}, "doesn't offer `code`"),
        ({"code_challenge_methods_supported": ["plain"]}, "doesn't offer `S256`"),
    ],
)
def test_a_document_that_says_otherwise_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        parse(**changes)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from([*DOCUMENT, "response_types_supported"]), JSON))
def test_no_document_gets_past_the_checks(changes: dict[str, Any]) -> None:
    try:
        provider = parse(**changes)
    except IdentityError:
        return
    assert provider.issuer == ISSUER
    for url in (provider.authorization_endpoint, provider.token_endpoint, provider.jwks_uri):
        assert url.startswith("https://")


def test_a_document_is_strict_json() -> None:
    with pytest.raises(IdentityError, match="discovery document is not strict JSON"):
        OpenIdProvider.parse(b'{"issuer":"a","issuer":"b"}', ISSUER)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a", "http://[::1]:9", "http://localhost:9", "https://a.example/b"]
)
def test_secrets_go_over_tls_or_stay_here(url: str) -> None:
    assert check_url(url).geturl() == url


@pytest.mark.parametrize(
    "url",
    [
        "", "http://a.example", "ftp://127.0.0.1", "https://", "https://ada@a.example", "https://a.example/#b",
        "https://a.example:0", "https://a.example:x", "https://a b.example", "https://a.example/\n", "https://[::1",
        "http://127.0.0.1.a.example", "https://ä.example", "https://a.example/" + "a" * 2048,
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(IdentityError):
        check_url(url)
