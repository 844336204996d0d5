"""`remit login` as a person types it: a whole Remit, a real OpenID provider, a browser."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from remit.cli.client import ask
from remit.cli.login_flow import id_token
from remit.config import Places
from remit.errors import RemitError
from tests.e2e.conftest import REMIT, Remit
from tests.interop.browser import Browser
from tests.interop.openid import Provider


@dataclass
class Desk:
    """A Remit that asks for a login at `provider`."""

    remit: Remit
    provider: Provider

    def begin(self) -> "tuple[subprocess.Popen[str], str]":
        """`remit login`, and the address that it shows."""
        heeds_interrupts = ["env", "--default-signal=INT"]  # a suite that runs in the background ignores them
        command = [*heeds_interrupts, REMIT, "login", "--no-browser", "--json", "--state", str(self.remit.state)]
        typed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert typed.stderr is not None
        return typed, typed.stderr.readline().strip().removeprefix("log in here: ")

    def login(self, who: str) -> tuple[int, str, str]:
        """`remit login`, with `who` at the browser: its status, and what it said."""
        typed, url = self.begin()
        Browser(who).go(url)
        said, told = typed.communicate(timeout=20)
        return typed.returncode, said, told


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    provider, state = Provider(), tmp_path_factory.mktemp("state")
    provider.start()
    (state / "config.toml").write_text(
        "[discovery]\nlook = false\n[gateway]\nport = 19400\n"
        f'[login]\nissuer = "{provider.issuer}"\nclient_id = "remit-ES256"\n'
    )
    remit = Remit(state)
    try:
        remit.event("ready")
        yield Desk(remit, provider)
    finally:
        remit.stop()
        provider.stop()


def test_the_first_login_is_the_person_s_and_another_account_is_refused(desk: Desk) -> None:
    status, said, told = desk.login("ada")
    assert (status, told) == (0, "")
    answer = json.loads(said)
    assert answer["session"]["login"] == desk.provider.issuer
    assert answer["token"]
    status, said, told = desk.login("bob")
    assert (status, said) == (1, "")
    assert "is bound to another login than `bob`" in told
    assert desk.login("ada")[0] == 0


def test_control_takes_a_token_once_and_only_with_the_nonce_that_it_gave(desk: Desk) -> None:
    socket, settings = Places.of(desk.remit.state, {}).api_socket, desk.provider.settings()
    nonces = [ask(socket, "POST", "session", "nonce", body={})["nonce"] for _ in range(2)]
    token = id_token(settings, nonces[0], open_browser=False, say=Browser().follow)
    for nonce, said in (("", "not begun here"), (nonces[1], "made for another login")):
        with pytest.raises(RemitError, match=said):
            ask(socket, "POST", "session", body={"seconds": 60, "id_token": token, "nonce": nonce})
    begun = {"seconds": 60, "id_token": token, "nonce": nonces[0]}
    assert ask(socket, "POST", "session", body=begun)["session"]["login"] == desk.provider.issuer
    with pytest.raises(RemitError, match="was ended already"):
        ask(socket, "POST", "session", body=begun)
    with pytest.raises(RemitError, match="asks for a login at its OpenID provider"):
        ask(socket, "POST", "session", body={"seconds": 60})


def test_a_person_who_gives_up_leaves_nothing_behind(desk: Desk) -> None:
    typed, url = desk.begin()
    assert url.startswith(desk.provider.issuer)
    typed.send_signal(signal.SIGINT)
    said, told = typed.communicate(timeout=10)
    assert (typed.returncode, said) == (130, "")
    assert "Traceback" not in told


def test_with_the_provider_down_nobody_logs_in_and_what_runs_goes_on(desk: Desk) -> None:
    desk.provider.stop()
    try:
        done = desk.remit.run("login", "--no-browser", check=False)
        assert done.returncode == 1
        assert "can't be reached: Connection refused" in done.stderr
        assert desk.remit.run("status", "--json").returncode == 0
    finally:
        desk.provider.start()
    _, _, told = desk.login("ada")  # its keys are new, and were fetched less than a minute ago
    assert "if it is new there, it is known here within a minute" in told
