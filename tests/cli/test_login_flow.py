"""What the browser brings back must be an answer of the provider that was asked."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs

import pytest

from remit.cli.login_flow import _client, _code, _exchange, id_token
from remit.config import LoginSettings
from remit.errors import ConfigError, IdentityError
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


class _TokenEndpoint(BaseHTTPRequestHandler):
    """Answers its one request with `answer`, and keeps it."""

    answer = json.dumps({"id_token": "a.b.c", "expires_in": 60}).encode()
    asked: dict[str, list[str]]
    authorization: str

    def do_POST(self) -> None:
        _TokenEndpoint.authorization = self.headers.get("authorization", "")
        _TokenEndpoint.asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        return


def exchanged(settings: LoginSettings, method: Literal["client_secret_basic", "client_secret_post"]) -> str:
    with HTTPServer(("127.0.0.1", 0), _TokenEndpoint) as server:
        endpoint = f"http://127.0.0.1:{server.server_port}/token"
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        try:
            provider = OpenIdProvider(ISSUER, ISSUER, endpoint, ISSUER, names_itself=True, authentication=method)
            return _exchange(_client(settings, provider), provider, "c", "v")
        finally:
            thread.join(10)


def test_a_public_client_shows_its_name_and_the_verifier() -> None:
    assert exchanged(LoginSettings(ISSUER, "laptop"), "client_secret_basic") == "a.b.c"
    assert _TokenEndpoint.authorization == ""
    assert _TokenEndpoint.asked["client_id"] == ["laptop"]
    assert _TokenEndpoint.asked["code_verifier"] == ["v"]
    assert "client_secret" not in _TokenEndpoint.asked


def test_a_secret_goes_the_way_that_the_provider_takes(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_text("correct-horse\n")
    settings = LoginSettings(ISSUER, "laptop", str(file))
    assert exchanged(settings, "client_secret_basic") == "a.b.c"
    assert _TokenEndpoint.authorization == "Basic " + base64.b64encode(b"laptop:correct-horse").decode()
    assert "client_secret" not in _TokenEndpoint.asked
    assert exchanged(settings, "client_secret_post") == "a.b.c"
    assert (_TokenEndpoint.authorization, _TokenEndpoint.asked["client_secret"]) == ("", ["correct-horse"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"not JSON", "can't be read"),
        (b"[]", "can't be read"),
        (b'{"id_token": "a.b.c", "expires_in": [1]}', "can't be read"),
        (b'{"id_token": "a.b.c", "expires_in": "soon"}', "can't be read"),
        (b'{"id_token": "a.b.c", "expires_in": 1e999}', "can't be read"),
        (b'{"access_token": "a"}', "has no ID token"),
        (b'{"id_token": ["a.b.c"]}', "has no ID token"),
        (b'{"error": "invalid_grant", "error_description": "gone\\u0007"}', "gave no token: gone "),
    ],
)
def test_an_answer_without_a_token_is_named(answer: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_TokenEndpoint, "answer", answer)
    with pytest.raises(IdentityError, match=said):
        exchanged(LoginSettings(ISSUER, "laptop"), "client_secret_basic")


def test_a_file_that_no_longer_says_where_is_named() -> None:
    with pytest.raises(ConfigError, match="no provider is set"):
        id_token(LoginSettings(), "n-1", open_browser=False, say=print)
