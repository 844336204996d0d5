"""A person logs in at a real OpenID provider, and control believes that and nothing else."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.cli import login_flow
from remit.config import LoginSettings
from remit.control.login_provider import LoginProvider
from remit.control.nonces import Nonces
from remit.errors import IdentityError, UnknownKeyError
from remit.identity.oidc_login import Login
from tests.interop.browser import Browser
from tests.interop.openid import Provider

UID = 1000


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    provider.start()
    yield provider
    provider.stop()


def token(settings: LoginSettings, nonce: str, browser: Browser) -> str:
    """What `remit login` gets."""
    return login_flow.id_token(settings, nonce, open_browser=False, say=browser.follow)


def login_of(settings: LoginSettings, id_token: str, nonce: str) -> Login:
    """What control makes of it."""
    return asyncio.run(LoginProvider(settings).login_of(id_token, nonce, time.time()))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_person_logs_in(provider: Provider, algorithm: str) -> None:
    settings, browser = provider.settings(f"remit-{algorithm}"), Browser("ada")
    login = login_of(settings, token(settings, "n-1", browser), "n-1")
    assert (login.issuer, login.subject) == (provider.issuer, "ada")
    assert "go on in the terminal" in browser.pages[-1]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secrets" / "client"
    file.parent.mkdir(mode=0o700)
    file.touch(0o600)
    file.write_text("correct-horse\n")
    return file


def test_a_client_with_a_secret_logs_people_in(provider: Provider, secret: Path) -> None:
    settings = provider.settings("remit-client_secret_basic", str(secret))
    assert login_of(settings, token(settings, "n-1", Browser()), "n-1").subject == "ada"
    secret.write_text("wrong\n")
    with pytest.raises(IdentityError, match="the provider gave no token"):
        token(settings, "n-1", Browser())


def test_a_secret_goes_the_way_that_the_provider_takes(secret: Path) -> None:
    other = Provider()
    other.start(methods="none,client_secret_post")
    try:
        settings = other.settings("remit-client_secret_post", str(secret))
        assert login_of(settings, token(settings, "n-1", Browser()), "n-1").subject == "ada"
    finally:
        other.stop()


def test_a_token_of_another_login_is_refused(provider: Provider) -> None:
    settings = provider.settings()
    with pytest.raises(IdentityError, match="made for another login"):
        login_of(settings, token(settings, "n-1", Browser()), "n-2")


def test_a_token_of_another_client_is_refused(provider: Provider) -> None:
    got = token(provider.settings("remit-RS256"), "n-1", Browser())
    with pytest.raises(IdentityError, match="is not for client `remit-ES256`"):
        login_of(provider.settings(), got, "n-1")


def test_a_client_that_the_provider_does_not_know_gets_no_answer(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_flow, "PERSON_SECONDS", 0.5)  # the provider answers the browser, and nobody else
    with pytest.raises(IdentityError, match="nobody logged in"):
        login_flow.id_token(provider.settings("stranger"), "n-1", open_browser=False, say=lambda said: None)


def test_a_person_who_cancels_is_not_logged_in(provider: Provider) -> None:
    with pytest.raises(IdentityError, match="let nobody in: End-User aborted interaction"):
        token(provider.settings(), "n-1", Browser(login=""))


def test_the_browser_is_opened_where_there_is_one(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script, opened = tmp_path / "browser", tmp_path / "opened"
    script.write_text(f'#!/bin/sh\necho noise; echo noise >&2; echo "$1" > {opened}.new; mv {opened}.new {opened}\n')
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{script} %s")

    def person(_said: str) -> None:
        for _ in range(200):
            if opened.exists():
                return Browser().go(opened.read_text().strip())
            time.sleep(0.05)
        raise AssertionError("no browser was opened")

    def say(said: str) -> None:
        threading.Thread(target=person, args=(said,), daemon=True).start()

    assert login_flow.id_token(provider.settings(), "n-1", open_browser=True, say=say)
    assert capfd.readouterr() == ("", "")


def test_the_same_token_twice_is_refused(provider: Provider) -> None:
    settings, nonces = provider.settings(), Nonces()
    nonce = nonces.issue(UID, time.time())
    got = token(settings, nonce, Browser())
    nonces.spend(nonce, UID, time.time())
    assert login_of(settings, got, nonce).subject == "ada"
    with pytest.raises(IdentityError, match="was ended already"):
        nonces.spend(nonce, UID, time.time())


def test_a_provider_that_calls_itself_something_else_is_refused() -> None:
    other = Provider()
    other.start(f"http://localhost:{other.port}")
    try:
        with pytest.raises(IdentityError, match="calls itself"):
            token(other.settings(), "n-1", Browser())
        with pytest.raises(IdentityError, match="calls itself"):
            login_of(other.settings(), "a.b.c", "n-1")
    finally:
        other.stop()


def test_a_provider_that_is_down_is_said_to_be_down() -> None:
    settings = Provider().settings()
    with pytest.raises(IdentityError, match="can't be reached: Connection refused"):
        token(settings, "n-1", Browser())
    with pytest.raises(IdentityError, match="can't be reached: Connection refused"):
        login_of(settings, "a.b.c", "n-1")


def test_keys_that_the_provider_rotated_are_fetched_once_a_minute() -> None:
    rotated = Provider()
    rotated.start()
    try:
        asyncio.run(_through_a_rotation(rotated))
    finally:
        rotated.stop()


async def _through_a_rotation(provider: Provider) -> None:
    settings = provider.settings()
    control = LoginProvider(settings)

    async def fresh() -> str:
        return await asyncio.to_thread(token, settings, "n-1", Browser())

    old, now = await fresh(), time.time()
    assert (await control.login_of(old, "n-1", now)).subject == "ada"
    provider.start()
    new = await fresh()
    with pytest.raises(UnknownKeyError):  # somebody could name an unknown key at each try
        await control.login_of(new, "n-1", now + 59)
    assert (await control.login_of(old, "n-1", now + 59)).subject == "ada"  # which nobody knows here to be taken back
    assert (await control.login_of(new, "n-1", now + 61)).subject == "ada"
    with pytest.raises(UnknownKeyError):
        await control.login_of(old, "n-1", now + 62)


def test_a_key_that_the_provider_took_back_is_no_good_after_five_minutes() -> None:
    rotated = Provider()
    rotated.start()
    try:
        asyncio.run(_after_five_minutes(rotated))
    finally:
        rotated.stop()


async def _after_five_minutes(provider: Provider) -> None:
    settings, now = provider.settings(), time.time()
    control = LoginProvider(settings)
    old = await asyncio.to_thread(token, settings, "n-1", Browser())
    assert (await control.login_of(old, "n-1", now)).subject == "ada"
    provider.start()
    assert (await control.login_of(old, "n-1", now + 299)).subject == "ada"
    with pytest.raises(UnknownKeyError):
        await control.login_of(old, "n-1", now + 300)
