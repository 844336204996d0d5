"""Where a passkey was used a while ago one click proves an act: in that very browser, in the page that shows it."""

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from remit.control.browsers import COOKIE, Browsers
from remit.control.clients import Client
from remit.persons import Act, Kind, Proof
from remit.persons.passkeys import encoded
from remit.persons.sessions import SECONDS
from tests.control.proof_world import ADA, Page, served
from tests.control.test_proof_page import asked, key_of

OPENED = {"sec_fetch_site": "none", "sec_fetch_dest": "document"}


@pytest.fixture
def page() -> Iterator[Page]:
    with served() as served_page:
        yield served_page


def proved(page: Page) -> tuple[str, str]:
    """An act is proved by a passkey: the browser's cookie from then on, and the proof's evidence."""
    key, pending = key_of(page), page.world.wait()
    status, headers, _ = page.send("POST", f"/proof/{pending}/allow", key.get(asked(page, pending)))
    assert status == 200
    granted = page.world.pending(pending).granted
    assert granted is not None
    return headers["set-cookie"].partition(";")[0], granted.evidence


def number(page: Page, pending: str, cookie: str, **headers: str) -> str:
    """The number of the page that shows an act; empty where it asks for the passkey."""
    status, _, body = page.send("GET", f"/proof/{pending}", b"", cookie=cookie, **(OPENED | headers))
    assert status == 200
    found = re.search(rb'data-deed="click" data-number="([\w-]+)"', body)
    return found[1].decode() if found else ""


def click(page: Page, pending: str, cookie: str, drawn: str) -> int:
    body = json.dumps({"number": drawn}).encode()
    return page.send("POST", f"/proof/{pending}/click", body, cookie=cookie, sec_fetch_site="same-origin")[0]


def test_one_click_in_the_page_that_shows_the_act_proves_it(page: Page) -> None:
    cookie, evidence = proved(page)
    pending = page.world.wait("another thing")
    assert click(page, pending, cookie, number(page, pending, cookie)) == 200
    granted = page.world.pending(pending).granted
    assert granted == Proof(Kind.PASSKEY, evidence, session=True)


def test_the_cookie_is_for_no_script_and_no_other_site(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    _, headers, body = page.send("POST", f"/proof/{pending}/allow", key.get(asked(page, pending)))
    value, *attributes = headers["set-cookie"].split("; ")
    assert value.startswith(f"{COOKIE}=")
    assert set(attributes) == {"Path=/proof", "Max-Age=900", "HttpOnly", "SameSite=Strict"}
    assert body == b"{}"


def test_without_the_page_that_shows_it_a_click_is_none(page: Page) -> None:
    cookie, _ = proved(page)
    pending = page.world.wait()
    assert click(page, pending, cookie, "") == 403
    for drawn in (encoded(bytes(32)), "\ud800", "é"):
        number(page, pending, cookie)
        assert click(page, pending, cookie, drawn) == 403
    assert page.world.pending(pending).granted is None


def test_a_page_s_number_is_for_its_act_alone(page: Page) -> None:
    cookie, _ = proved(page)
    one, other = page.world.wait(), page.world.wait("wipe the disk")
    drawn = number(page, one, cookie)
    number(page, other, cookie)
    assert click(page, other, cookie, drawn) == 403
    assert page.world.pending(other).granted is None
    assert page.world.records[-1][0] == "passkey.refused"


def test_a_double_click_counts_once(page: Page) -> None:
    cookie, _ = proved(page)
    pending = page.world.wait()
    drawn = number(page, pending, cookie)
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda _: click(page, pending, cookie, drawn), range(8)))
    assert sorted(said) == [200, *[404] * 7]


def test_a_page_that_was_loaded_again_is_the_one_that_counts(page: Page) -> None:
    cookie, _ = proved(page)
    pending = page.world.wait()
    before, now = number(page, pending, cookie), number(page, pending, cookie)
    assert before != now
    assert click(page, pending, cookie, before) == 403
    assert page.world.pending(pending).granted is None


def test_another_browser_needs_the_passkey_whatever_it_shows(page: Page) -> None:
    """Cookies of `localhost` go to all its ports: who was given one there is another process."""
    cookie, _ = proved(page)
    pending = page.world.wait()
    drawn = number(page, pending, cookie)
    page.world.browser = (4243, 7)
    assert click(page, pending, cookie, drawn) == 403
    assert number(page, pending, cookie) == ""
    assert page.world.pending(pending).granted is None


@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=", f"{COOKIE}=x", "other=1; remit-browser"])
def test_without_its_cookie_a_browser_needs_the_passkey(page: Page, cookie: str) -> None:
    right, _ = proved(page)
    pending = page.world.wait()
    assert number(page, pending, cookie) == ""
    assert click(page, pending, cookie, number(page, pending, right)) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
def test_what_another_page_opened_needs_the_passkey(page: Page, site: str) -> None:
    cookie, _ = proved(page)
    assert number(page, page.world.wait(), cookie, sec_fetch_site=site) == ""


def test_it_ends_after_15_minutes_also_in_a_page_that_was_shown_before(page: Page) -> None:
    cookie, _ = proved(page)
    page.world.later = SECONDS - 30
    pending = page.world.wait()
    drawn = number(page, pending, cookie)
    page.world.later = SECONDS + 1
    assert click(page, pending, cookie, drawn) == 403
    assert number(page, pending, cookie) == ""


def test_clicks_make_it_no_longer(page: Page) -> None:
    cookie, _ = proved(page)
    page.world.later = SECONDS - 30
    pending = page.world.wait()
    assert click(page, pending, cookie, number(page, pending, cookie)) == 200
    page.world.later = SECONDS + 1
    assert number(page, page.world.wait(), cookie) == ""


def test_a_refusal_ends_it(page: Page) -> None:
    cookie, _ = proved(page)
    refused, other = page.world.wait(), page.world.wait()
    assert page.post(f"/proof/{refused}/refuse")[0] == 200
    assert number(page, other, cookie) == ""


def test_a_removed_passkey_ends_what_it_began(page: Page) -> None:
    import asyncio

    cookie, _ = proved(page)
    asyncio.run(page.desk.remove(ADA, "laptop"))
    assert number(page, page.world.wait(), cookie) == ""


@pytest.mark.parametrize("act", [Act.PASSKEY_ADD, Act.PASSKEY_REMOVE])
def test_what_would_make_it_last_takes_the_passkey_each_time(page: Page, act: Act) -> None:
    cookie, _ = proved(page)
    assert number(page, page.world.wait(act=act), cookie) == ""


def test_who_is_known_by_no_process_has_none() -> None:
    browsers = Browsers(lambda: 5.0)
    assert browsers.begin(Client(ADA, None, a_person=True, uid=0), "e" * 64) == ""
    known = Client(ADA, None, a_person=True, uid=0, process=(7, 7))
    token = browsers.begin(known, "e" * 64)
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert browsers.held(known, token) is not None
    other = Client(ADA, None, a_person=True, uid=1, process=(7, 7))
    assert browsers.held(other, token) is None
