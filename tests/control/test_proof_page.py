"""The local page: a person's own browser proves one act; other sites, accounts and keys prove nothing."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from remit.control.clients import Client
from remit.control.passkey_links import LINK_SECONDS, MAX_LINKS
from remit.inventory import Human
from remit.persons import Kind
from remit.persons.pending import LIFE
from tests.control.proof_world import ADA, Page, served
from tests.fakes.authenticator import FakeAuthenticator

NOBODY = 65534


@pytest.fixture
def page() -> Iterator[Page]:
    with served() as served_page:
        yield served_page


def challenge(options: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64decode(options["challenge"] + "==")


def key_of(page: Page) -> FakeAuthenticator:
    """A passkey of ada's, added through its link."""
    key, link = FakeAuthenticator(page.origin), page.desk.link(ADA, os.getuid(), "laptop", Kind.TERMINAL)
    _, options = page.post(f"{link}/ask")
    status, answer = page.post(f"{link}/add", key.create(challenge(options)))
    assert status == 200, answer
    return key


def asked(page: Page, pending: str) -> bytes:
    status, options = page.post(f"/proof/{pending}/ask")
    assert status == 200, options
    return challenge(options)


def test_a_passkey_proves_one_act(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    assert page.post(f"/proof/{pending}/allow", key.get(asked(page, pending))) == (200, {})
    granted = page.world.pending(pending).granted
    assert granted is not None
    assert granted.kind is Kind.PASSKEY
    assert page.world.passkeys()[0].last_used is not None


def test_what_is_acted_on_is_shown_and_cannot_hide_or_write_markup(page: Page) -> None:
    pending = page.world.wait("<script>alert(1)</script>\u202e\x1b[2J")
    status, headers, body = page.send("GET", f"/proof/{pending}")
    text = body.decode()
    assert status == 200
    assert "llama-8080" in text
    assert "&lt;script&gt;" in text
    assert "\\u{202e}" in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_an_answer_is_taken_once(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    answer = key.get(asked(page, pending))
    assert page.post(f"/proof/{pending}/allow", answer)[0] == 200
    status, said = page.post(f"/proof/{pending}/allow", answer)
    assert (status, "allowed already" in said["error"]) == (404, True)


def test_a_challenge_is_spent_by_a_failed_try(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    drawn = asked(page, pending)
    assert page.post(f"/proof/{pending}/allow", b"{}")[0] == 403
    status, said = page.post(f"/proof/{pending}/allow", key.get(drawn))
    assert status == 403
    assert "answered already" in said["error"]


def test_an_answer_for_one_act_proves_no_other(page: Page) -> None:
    key, one, other = key_of(page), page.world.wait(), page.world.wait("wipe the disk")
    answer = key.get(asked(page, one))
    asked(page, other)
    status, said = page.post(f"/proof/{other}/allow", answer)
    assert status == 403
    assert "challenge" in said["error"]
    assert page.world.pending(other).granted is None
    assert page.world.records[-1][0] == "passkey.refused"


def test_of_two_answers_at_once_one_counts(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    answer = key.get(asked(page, pending))
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda _: page.post(f"/proof/{pending}/allow", answer)[0], range(8)))
    assert sorted(said) == [200, *[404] * 7]


def test_another_persons_passkey_proves_nothing_for_this_one(page: Page) -> None:
    """Bob opens ada's link, which somebody relayed to him, even from her own account."""
    key_of(page)
    page.world.human = Human("bob", "person-2", (0,))
    bobs, link = FakeAuthenticator(page.origin), page.desk.link(page.world.human, os.getuid(), "his", Kind.TERMINAL)
    _, options = page.post(f"{link}/ask")
    assert page.post(f"{link}/add", bobs.create(challenge(options)))[0] == 200
    page.world.human = ADA
    pending = page.world.wait()
    status, said = page.post(f"/proof/{pending}/allow", bobs.get(asked(page, pending)))
    assert (status, "not one of this person's" in said["error"]) == (403, True)
    assert page.world.pending(pending).granted is None


def test_what_runs_under_a_governed_workload_is_shown_nothing(page: Page) -> None:
    key, pending, link = key_of(page), page.world.wait(), page.desk.link(ADA, os.getuid(), "x", Kind.TERMINAL)
    answer = key.get(asked(page, pending))
    page.world.a_person = False
    assert [page.send("GET", path)[0] for path in (f"/proof/{pending}", link)] == [404, 404]
    assert page.post(f"/proof/{pending}/allow", answer)[0] == 404
    assert page.world.pending(pending).granted is None


def test_who_asks_without_end_ends_only_their_own_challenges(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    drawn = asked(page, pending)
    link = page.desk.link(ADA, os.getuid(), "phone", Kind.TERMINAL)
    human = Human("bob", "person-2", (1,))
    for number in range(1100):
        theirs = page.desk.link(human, 1, f"key {number}", Kind.TERMINAL).rpartition("/")[2]
        page.desk.ask_new(theirs, Client(human, None, a_person=True, uid=1))
    assert len(page.desk.links_of(1)) == MAX_LINKS
    assert page.send("GET", link)[0] == 200
    assert page.post(f"/proof/{pending}/allow", key.get(drawn))[0] == 200


def test_an_act_and_a_link_that_waited_too_long_are_over(page: Page) -> None:
    key, pending, link = key_of(page), page.world.wait(), page.desk.link(ADA, os.getuid(), "x", Kind.TERMINAL)
    answer = key.get(asked(page, pending))
    page.world.later = LIFE
    assert page.send("GET", f"/proof/{pending}")[0] == 404
    assert page.post(f"/proof/{pending}/allow", answer)[0] == 404
    assert page.send("GET", link)[0] == 200
    page.world.later = LINK_SECONDS
    assert page.send("GET", link)[0] == 404


@pytest.mark.parametrize("dest", ["iframe", "frame", "embed", "object", "empty"])
def test_a_frame_or_a_script_is_shown_nothing(page: Page, dest: str) -> None:
    pending = page.world.wait()
    status, _, body = page.send("GET", f"/proof/{pending}", sec_fetch_dest=dest)
    assert (status, b"llama-8080" in body) == (403, False)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_only_the_page_itself_may_post(page: Page, site: str) -> None:
    """Another port of `localhost` is the same site, and another origin."""
    pending = page.world.wait()
    assert page.post(f"/proof/{pending}/refuse", sec_fetch_site=site)[0] == 403
    assert page.post(f"/proof/{pending}/refuse", sec_fetch_site="same-origin")[0] == 200


def test_a_fresh_challenge_ends_the_one_before_it(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    first = asked(page, pending)
    asked(page, pending)
    assert page.post(f"/proof/{pending}/allow", key.get(first))[0] == 403


def test_another_key_proves_nothing(page: Page) -> None:
    key_of(page)
    pending = page.world.wait()
    status, said = page.post(f"/proof/{pending}/allow", FakeAuthenticator(page.origin).get(asked(page, pending)))
    assert status == 403
    assert "not one of this person's" in said["error"]


def test_a_count_that_goes_back_is_on_record(page: Page) -> None:
    key, pending = key_of(page), page.world.wait()
    key.count = 1
    assert page.post(f"/proof/{pending}/allow", key.get(asked(page, pending)))[0] == 403
    assert "copied" in page.world.records[-1][3]["why"]


def test_a_refusal_is_the_persons_no(page: Page) -> None:
    pending = page.world.wait()
    assert page.post(f"/proof/{pending}/refuse") == (200, {})
    assert page.world.refused == ["refused by the person, in the local page"]
    assert page.send("GET", f"/proof/{pending}")[0] == 404


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1"])
def test_another_sites_page_may_not_post(page: Page, origin: str) -> None:
    pending = page.world.wait()
    assert page.post(f"/proof/{pending}/refuse", origin=origin)[0] == 403
    assert page.world.pending(pending).granted is None


def test_another_name_for_this_machine_shows_nothing(page: Page) -> None:
    pending = page.world.wait()
    status, _, body = page.send("GET", f"/proof/{pending}", host=f"evil.example:{page.port}")
    assert status == 404
    assert b"llama-8080" not in body


@pytest.mark.parametrize("body", [b"", b"[" * 9000, b"{" * 100_000, b"\xff", b"null"])
def test_malformed_answers_are_refused(page: Page, body: bytes) -> None:
    key_of(page)
    pending = page.world.wait()
    asked(page, pending)
    assert page.post(f"/proof/{pending}/allow", body)[0] == 403


def test_a_link_adds_one_passkey_and_is_spent_by_a_failed_try(page: Page) -> None:
    link = page.desk.link(ADA, os.getuid(), "phone", Kind.TERMINAL)
    page.post(f"{link}/ask")
    assert page.post(f"{link}/add", b"{}")[0] == 403
    assert page.send("GET", link)[0] == 404
    assert page.world.passkeys() == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account")
def test_another_accounts_browser_is_shown_nothing(page: Page) -> None:
    pending, link = page.world.wait(), page.desk.link(ADA, os.getuid(), "phone", Kind.TERMINAL)
    script = (
        "import http.client, os, sys\n''.encode('idna')\nos.setuid(int(sys.argv[2]))\n"
        "for path in sys.argv[3:]:\n"
        " c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=20)\n"
        " c.request('GET', path, headers={'host': 'localhost:' + sys.argv[1]})\n"
        " r = c.getresponse(); print(r.status, b'llama-8080' in r.read()); c.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(page.port), str(NOBODY), f"/proof/{pending}", link],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.split() == ["404", "False", "404", "False"]
