"""The local page in a real browser with a virtual authenticator: what a person sees and presses there."""

import contextlib
import http.server
import json
import os
import threading
from collections.abc import Iterator

import pytest

from remit.persons import Act, Kind
from tests.control.proof_world import ADA, Page, served
from tests.fakes.chromium import CHROMIUM, Chromium

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists() and os.environ.get("REMIT_TEST_PEERS") != "required", reason="no Chromium here"
)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with served() as served_page:
        yield served_page


@pytest.fixture(scope="module")
def browser(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser whose person has added their passkey."""
    with Chromium(tmp_path_factory.mktemp("profile")) as running:
        running.open(page.origin + page.desk.link(ADA, os.getuid(), "laptop", Kind.TERMINAL))
        assert running.click("add") == "Added. You can close this page."
        facts = page.world.records[-1][3]
        assert (facts["label"], facts["proof"], facts["synced"]) == ("laptop", "terminal", False)
        assert len(facts["model"]) == 36
        yield running


@pytest.fixture(autouse=True)
def touched_each_time(page: Page) -> None:
    """Each test begins in a browser that has no session."""
    page.desk._browsers.end_all(os.getuid())


def granted(page: Page, pending: str) -> bool:
    return page.world.pending(pending).granted is not None


def test_a_passkey_proves_an_act_and_then_a_click_does(page: Page, browser: Chromium) -> None:
    first, second = page.world.wait(), page.world.wait("another")
    browser.open(f"{page.origin}/proof/{first}")
    assert browser.click("prove") == "Allowed. You can close this page."
    browser.tell("WebAuthn.setUserVerified", authenticatorId=browser.authenticator, isUserVerified=False)
    try:
        browser.open(f"{page.origin}/proof/{second}")
        assert not granted(page, second), "nothing is allowed by being opened"
        assert browser.click("click") == "Allowed. You can close this page."
    finally:
        browser.tell("WebAuthn.setUserVerified", authenticatorId=browser.authenticator, isUserVerified=True)
    assert granted(page, first)
    assert granted(page, second)


def test_who_is_not_verified_by_their_key_proves_nothing(page: Page, browser: Chromium) -> None:
    pending = page.world.wait(act=Act.PASSKEY_ADD)
    browser.open(f"{page.origin}/proof/{pending}")
    browser.tell("WebAuthn.setUserVerified", authenticatorId=browser.authenticator, isUserVerified=False)
    try:
        assert browser.click("prove").startswith("Not done")
    finally:
        browser.tell("WebAuthn.setUserVerified", authenticatorId=browser.authenticator, isUserVerified=True)
    assert not granted(page, pending)


def test_a_double_click_is_one(page: Page, browser: Chromium) -> None:
    pending, before = page.world.wait(), page.world.passkeys()[0].sign_count
    browser.open(f"{page.origin}/proof/{pending}")
    browser.press("prove", times=2)
    assert browser.end() == "Allowed. You can close this page."
    assert page.world.passkeys()[0].sign_count == before + 1


def test_a_script_s_click_and_one_that_comes_too_soon_are_nobody_s(page: Page, browser: Chromium) -> None:
    pending = page.world.wait()
    browser.open(f"{page.origin}/proof/{pending}")
    assert browser.run("document.querySelector('button').disabled") is True
    browser.wait("!document.querySelector('button').disabled")
    browser.run("document.querySelector('button').click()")
    assert browser.run("document.querySelector('main').dataset.end || ''") == ""
    assert not granted(page, pending)


def test_back_and_reload_show_that_it_is_over(page: Page, browser: Chromium) -> None:
    pending = page.world.wait()
    browser.open(f"{page.origin}/proof/{pending}")
    browser.click("prove")
    browser.tell("Page.reload")
    browser.wait("document.readyState === 'complete' && document.body.innerText.includes('allowed already')")
    browser.open("about:blank")
    browser.run("history.back()")
    browser.wait("document.readyState === 'complete' && document.body.innerText.includes('allowed already')")
    assert browser.run("document.querySelectorAll('button').length") == 0


def test_it_can_be_used_by_keyboard_alone(page: Page, browser: Chromium) -> None:
    pending = page.world.wait()
    browser.open(f"{page.origin}/proof/{pending}")
    browser.wait("!document.querySelector('button').disabled")
    assert browser.run("document.activeElement.tagName") == "BODY", (
        "a key that was meant for elsewhere allows nothing"
    )
    for key in ("Tab", "Tab"):
        browser.key(key)
    assert browser.run("document.activeElement.dataset.deed") == "refuse"
    browser.key("Enter")
    assert browser.end() == "Refused. You can close this page."
    assert page.world.refused


def test_without_javascript_it_says_so_and_does_nothing(page: Page, browser: Chromium) -> None:
    pending = page.world.wait()
    browser.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{page.origin}/proof/{pending}")
        browser.wait("document.body.innerText.includes('needs JavaScript')")
        assert browser.run("[...document.querySelectorAll('button')].every((one) => one.disabled)") is True
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)


class Framing(http.server.BaseHTTPRequestHandler):
    """Somebody else's page on another port of `localhost`, with ours in a frame."""

    inner = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>x</title><iframe src='{self.inner}'></iframe>".encode())

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def framing(inner: str) -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), type("Framing", (Framing,), {"inner": inner}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_in_another_page_s_frame_it_is_not_shown(page: Page, browser: Chromium) -> None:
    pending = page.world.wait("seen nowhere")
    with framing(f"{page.origin}/proof/{pending}") as outer:
        browser.open(outer)
        browser.wait("document.readyState === 'complete'")
        seen = json.dumps(browser.tell("DOMSnapshot.captureSnapshot", computedStyles=[]))
    assert "iframe" in seen.lower()
    assert "seen nowhere" not in seen
    assert "llama-8080" not in seen
