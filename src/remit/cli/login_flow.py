"""A person logs in at their OpenID provider: authorization code flow with PKCE, back to a port of this machine."""

import asyncio
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from remit.cli.login_answer import LoginAnswer
from remit.config import LoginSettings
from remit.errors import ConfigError, IdentityError
from remit.identity import oidc_http
from remit.identity.jws import MAX_ID_TOKEN_BYTES
from remit.identity.oidc_provider import OpenIdProvider, discovery_url
from remit.identity.private_file import read_private
from remit.secret import Secret

PERSON_SECONDS: Final = 300.0  # for a person to type a password and find their phone
VERIFIER_BYTES: Final = 32  # RFC 7636 4.1: 43 characters
MAX_SAID: Final = 200
_AGAIN: Final = "run `remit login` again"
_CLIENT: Final = "compare `[login]` with the client at the provider, which needs the scope `openid`"
_SCREENS: Final = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def id_token(settings: LoginSettings, nonce: str, *, open_browser: bool, say: Callable[[str], None]) -> str:
    """The ID token of whoever logs in now, not verified; raises IdentityError when nobody does.

    1. The provider's own document says where it is reached.
    2. The browser goes there, and comes back with a code; `state` ties the answer to this command.
    3. The code becomes a token; the PKCE verifier ties it to this command, `nonce` the token to control's question.

    Left to control: all that makes the token a proof (`identity.oidc_login`), with keys that it fetches itself.
    """
    if not settings.issuer:
        raise ConfigError("no provider is set in `[login]`, but this Remit runs with one", hint="start it anew")
    # 1
    provider = OpenIdProvider.parse(oidc_http.get(discovery_url(settings.issuer)), settings.issuer)
    client = _client(settings, provider)
    # 2
    verifier = secrets.token_urlsafe(VERIFIER_BYTES)
    asked = {"code_verifier": verifier, "nonce": nonce}

    def show(url: str) -> None:
        say(f"log in here: {url}")
        if open_browser and any(os.environ.get(name) for name in _SCREENS):
            _browse(url)

    answer = asyncio.run(_answer(client, provider.authorization_endpoint, asked, show))
    # 3
    return _exchange(client, provider, _code(answer, provider), verifier)


def _client(settings: LoginSettings, provider: OpenIdProvider) -> Any:
    from authlib.oauth2.client import OAuth2Client

    path = settings.client_secret_file
    secret = Secret(read_private(Path(path)).decode("latin-1").strip()) if path else None
    client = OAuth2Client(
        _Posts(),
        settings.client_id,
        secret.reveal() if secret else None,
        token_endpoint_auth_method=provider.authentication if secret else "none",
        scope="openid",
        code_challenge_method="S256",
    )
    client.oauth_error_class = _RefusedError  # Authlib's own takes no line breaks, which providers write
    return client


async def _answer(
    client: Any, endpoint: str, asked: Mapping[str, str], show: Callable[[str], None]
) -> Mapping[str, str]:
    state = secrets.token_urlsafe(VERIFIER_BYTES)
    answer = LoginAnswer(state)
    async with answer.listening() as redirect_uri:
        client.redirect_uri = redirect_uri  # kept: the token endpoint compares it
        url, _state = client.create_authorization_url(endpoint, state=state, **asked)
        show(url)
        try:
            return await answer.wait(PERSON_SECONDS)
        except TimeoutError as error:
            raise IdentityError(f"nobody logged in within {PERSON_SECONDS:.0f} s", hint=_AGAIN) from error


def _browse(url: str) -> None:
    """In a process of its own: a browser may say much, and may not come back until it is closed."""
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-I", "-m", "webbrowser", url]
    options = {"stdin": quiet, "stdout": quiet, "stderr": quiet, "start_new_session": True, "check": False}
    threading.Thread(target=subprocess.run, args=(command,), kwargs=options, daemon=True).start()


def _code(answer: Mapping[str, str], provider: OpenIdProvider) -> str:
    if "error" in answer:
        said = answer.get("error_description") or answer["error"]
        raise IdentityError(f"the provider let nobody in: {_plain(said)}", hint=_AGAIN)
    if answer.get("iss", provider.issuer) != provider.issuer or (provider.names_itself and "iss" not in answer):
        raise IdentityError("another provider answered than the one that was asked (RFC 9207)", hint=_AGAIN)
    code = answer.get("code")
    if not code:
        raise IdentityError("the provider's answer has no code", hint=_AGAIN)
    return code


def _exchange(client: Any, provider: OpenIdProvider, code: str, verifier: str) -> str:
    try:
        tokens = client.fetch_token(
            provider.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
        )
    except _RefusedError as error:
        raise IdentityError(f"the provider gave no token: {_plain(error)}", hint=_CLIENT) from error
    except (ValueError, TypeError, OverflowError) as error:  # what Authlib can't read
        raise IdentityError("the provider's answer at its token endpoint can't be read", hint=_AGAIN) from error
    token = tokens.get("id_token")
    if not isinstance(token, str) or len(token) > MAX_ID_TOKEN_BYTES:
        raise IdentityError("the provider's answer has no ID token", hint=_CLIENT)
    return token


class _RefusedError(Exception):
    """The provider's own words (RFC 6749 5.2)."""

    def __init__(self, error: object, description: object = None) -> None:
        super().__init__(description or error)


class _Posts:
    """What Authlib sends its one request through, in the words of `requests`."""

    def post(self, url: str, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> "_Response":
        from urllib.parse import urlencode

        url, prepared, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return _Response(url, oidc_http.send("POST", url, prepared, body.encode()))


class _Response:
    def __init__(self, url: str, reply: oidc_http.Reply) -> None:
        self._url, self._reply = url, reply
        self.status_code = reply.status

    def json(self) -> Any:
        import json

        return json.loads(self._reply.body)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise IdentityError(f"`{self._url}` answered with status {self.status_code}", hint=_AGAIN)


def _plain(text: object) -> str:
    """Somebody else's words, fit to be shown."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))[:MAX_SAID]
