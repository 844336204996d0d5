"""What the browser brings back must be an answer of the provider that was asked."""

import pytest

from remit.cli.login_flow import _code
from remit.errors import IdentityError
from remit.identity.oidc_provider import OpenIdProvider

ISSUER = "https://login.maple.example"


def provider(*, names_itself: bool) -> OpenIdProvider:
    return OpenIdProvider(ISSUER, ISSUER, ISSUER, ISSUER, names_itself, "client_secret_basic")


def test_the_code_is_taken_from_the_provider_that_was_asked() -> None:
    assert _code({"code": "c", "iss": ISSUER}, provider(names_itself=True)) == "c"
    assert _code({"code": "c"}, provider(names_itself=False)) == "c"


@pytest.mark.parametrize(
    ("answer", "names_itself"),
    [({"code": "c"}, True), ({"code": "c", "iss": ISSUER + "/"}, True), ({"code": "c", "iss": "https://x"}, False)],
)
def test_an_answer_of_another_provider_is_refused(answer: dict[str, str], names_itself: bool) -> None:
    with pytest.raises(IdentityError, match="another provider answered"):
        _code(answer, provider(names_itself=names_itself))


def test_an_answer_without_a_code_is_refused() -> None:
    with pytest.raises(IdentityError, match="has no code"):
        _code({"iss": ISSUER}, provider(names_itself=True))


def test_what_a_provider_says_is_fit_to_be_shown() -> None:
    with pytest.raises(IdentityError) as caught:
        _code({"error": "access_denied", "error_description": "no\x1b[2J\n" + "a" * 900}, provider(names_itself=True))
    assert "no [2J a" in str(caught.value)
    assert len(str(caught.value)) < 300
