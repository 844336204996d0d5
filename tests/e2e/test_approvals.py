"""Approvals on the running program: a call waits for another person's word, and goes on once, as it was shown."""

import http.server
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.e2e.calling import CHAT, Reply, bearer, chat, curl
from tests.e2e.conftest import ME, Remit
from tests.e2e.servers import Recorded, fake, guarding, nobody, start_task
from tests.faults.world import raw_chat, records, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the other person's calls come from another uid")
PORT = 29290
POLICIES = """
@id("look") permit (principal, action in [Action::"list", Action::"health"], resource);
@id("ask-first") @approval("owner") permit (principal, action == Action::"infer", resource);
"""


class Hook:
    """The address that is told what is asked, on a port of its own."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        told = self.told

        class Takes(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_of_what: object) -> None:
                """Nothing."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Takes)
        self.url = f"http://127.0.0.1:{self.server.server_port}/approvals"


@contextmanager
def hooked() -> Iterator[Hook]:
    hook = Hook()
    serving = threading.Thread(target=hook.server.serve_forever)
    serving.start()
    try:
        yield hook
    finally:
        hook.server.shutdown()
        serving.join(5)
        hook.server.server_close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remit, Recorded, Hook]]:
    directory = tmp_path_factory.mktemp("approvals")
    policies = directory / "state" / "policies"
    policies.mkdir(parents=True)
    (policies / "p.cedar").write_text(POLICIES)
    with ExitStack() as stack:
        hook, server = stack.enter_context(hooked()), stack.enter_context(fake("vllm", directory))
        more = f'[people]\nbob = [65534]\n[approvals]\nwebhook = "{hook.url}"\nper_hour = 1000\n'
        remit = stack.enter_context(guarding(directory / "state", PORT, server.address, more=more))
        yield remit, server, hook


@pytest.fixture
def remit(world: tuple[Remit, Recorded, Hook]) -> Remit:
    return world[0]


@pytest.fixture
def upstream(world: tuple[Remit, Recorded, Hook]) -> Callable[[], int]:
    """How many chats have arrived at the guarded server."""
    return lambda: world[1].paths().count(f"POST {CHAT}")


def url(remit: Remit) -> str:
    return str(remit.ready["guarded"][0]["url"]) + CHAT


def by_bob(remit: Remit, prompt: str, *more: str, wait: int = 20) -> Reply:
    return curl(*chat(prompt), "-H", f"prefer: wait={wait}", *more, url(remit), **nobody())


def listed(remit: Remit, state: str = "pending") -> list[dict[str, Any]]:
    rows = json.loads(remit.run("approvals", "list", "--all", "--json").stdout)
    return [one for one in rows if one["state"] == state]


def asked(remit: Remit) -> str:
    """What people are asked now."""
    return str(until(lambda: listed(remit), "somebody is asked")[0]["id"])


def approve(remit: Remit, approval: str, *more: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return remit.run("approvals", "approve", approval, *more, check=check)


def test_a_call_waits_for_another_person_who_sees_exactly_what_it_sends(
    world: tuple[Remit, Recorded, Hook], upstream: Callable[[], int]
) -> None:
    remit, _, hook = world
    before = upstream()
    with ThreadPoolExecutor() as pool:
        call = pool.submit(by_bob, remit, "buy the Wintergarten")
        approval = asked(remit)
        shown = json.loads(remit.run("approvals", "show", approval, "--json").stdout)
        matter = shown["matter"]
        assert json.loads(matter["arguments"])["messages"] == [{"role": "user", "content": "buy the Wintergarten"}]
        assert (matter["human"], matter["owner"], matter["by"]) == ("bob", ME, ["ask-first (p.cedar:3)"])
        assert upstream() == before, "nothing moved yet"
        assert "1 waits for an answer" in remit.run("status").stdout
        told = approve(remit, approval)
        assert "buy the Wintergarten" in told.stderr
        assert call.result().status == 200
    assert upstream() == before + 1
    [allowed] = [one for one in records(remit.state) if one.get("facts", {}).get("approval")]
    assert allowed["facts"]["approval"]["id"] == approval
    assert allowed["facts"]["approval"]["kind"] == "approved"
    until(lambda: {one["what"] for one in hook.told} >= {"asked", "approved"}, "the webhook is told")
    assert "Wintergarten" not in json.dumps(hook.told) + json.dumps(records(remit.state))
    assert b"Wintergarten" not in (remit.state / "state.db").read_bytes()
    again = by_bob(remit, "buy the Wintergarten", wait=0)
    assert (again.status, again.code) == (403, "approval-needed"), "it was good once"
    remit.run("approvals", "deny", again.json["error"]["approval"])


def test_who_can_t_wait_gets_a_handle_and_asks_for_exactly_the_same_again(remit: Remit) -> None:
    first = by_bob(remit, "first", wait=0)
    approval = first.json["error"]["approval"]
    assert "remit approvals" not in json.dumps(first.json), "no command that widens is told to a caller"
    approve(remit, approval)
    edited = by_bob(remit, "first, and more", wait=0)
    assert (edited.status, edited.json["error"]["approval"] != approval) == (403, True)
    assert by_bob(remit, "first", wait=0).status == 200
    assert by_bob(remit, "first", wait=0).status == 403
    for one in listed(remit):
        remit.run("approvals", "deny", one["id"])


def test_a_no_is_told_apart_from_no_answer(remit: Remit, upstream: Callable[[], int]) -> None:
    before = upstream()
    nobody_there = by_bob(remit, "is anybody there", wait=1)
    assert (nobody_there.status, nobody_there.code) == (403, "approval-needed")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(by_bob, remit, "please")
        until(lambda: len(listed(remit)) == 2, "both are asked")
        for one in listed(remit):
            remit.run("approvals", "deny", one["id"], "--reason", "not today")
        assert call.result().code == "approval-denied"
    assert by_bob(remit, "please").code == "approval-denied", "the same is not asked again"
    assert upstream() == before


def test_of_many_equal_calls_one_goes_on_by_one_yes(remit: Remit, upstream: Callable[[], int]) -> None:
    before = upstream()
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(by_bob, remit, "all at once", wait=4) for _ in range(12)]
        until(lambda: [one for one in listed(remit) if one["waiting"] == 12], "all of them wait")
        approve(remit, asked(remit))
        statuses = sorted(call.result().status for call in calls)
    assert statuses == [200] + [403] * 11
    assert upstream() == before + 1
    remit.run("approvals", "deny", asked(remit))


def test_who_asks_does_not_approve(remit: Remit, upstream: Callable[[], int]) -> None:
    before = upstream()
    own = curl(*chat("for myself"), "-H", "prefer: wait=0", url(remit))
    approval = own.json["error"]["approval"]
    refused = approve(remit, approval, "--reason", "it is mine to decide", check=False)
    assert (refused.returncode, f"`{ME}` asked for it" in refused.stderr) == (3, True), refused.stderr
    assert curl(*chat("for myself"), "-H", "prefer: wait=0", url(remit)).status == 403
    assert upstream() == before
    remit.run("approvals", "deny", approval)


def test_who_hangs_up_leaves_nothing_to_agree_to(remit: Remit) -> None:
    sock = raw_chat(int(url(remit).split(":")[2].split("/")[0]), "never mind")
    approval = asked(remit)
    sock.close()
    until(lambda: approval in {one["id"] for one in listed(remit, "withdrawn")}, "it is withdrawn")
    refused = approve(remit, approval, check=False)
    assert (refused.returncode, "withdrawn already" in refused.stderr) == (3, True)


def test_a_task_that_ends_cuts_the_call_that_waits_for_people(remit: Remit, upstream: Callable[[], int]) -> None:
    before = upstream()
    task, token = start_task(remit, remit.ready["guarded"][0]["name"], "infer")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(curl, *bearer(token), *chat("in a task"), "-H", "prefer: wait=30", url(remit))
        approval = asked(remit)
        ended = time.monotonic()
        remit.run("task", "end", task)
        assert call.result().code == "ended-meanwhile"
        assert time.monotonic() - ended < 5
    assert approve(remit, approval, check=False).returncode == 3
    assert upstream() == before


def test_policies_that_are_edited_while_people_read_have_to_be_asked_again(
    remit: Remit, upstream: Callable[[], int]
) -> None:
    before, file = upstream(), remit.state / "policies" / "p.cedar"
    with ThreadPoolExecutor() as pool:
        call = pool.submit(by_bob, remit, "under which policies")
        approval = asked(remit)
        file.write_text(POLICIES + "// another version\n")
        remit.event("policy")
        refused = approve(remit, approval, check=False)
        assert (refused.returncode, refused.stdout) == (3, "")
        assert call.result().code == "approval-over"
    assert upstream() == before
    file.write_text(POLICIES)
    remit.event("policy")


def test_without_control_nobody_is_asked_and_nothing_goes_on(remit: Remit, upstream: Callable[[], int]) -> None:
    before = upstream()
    first = by_bob(remit, "agreed to before", wait=0).json["error"]["approval"]
    approve(remit, first)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(by_bob, remit, "while it dies")
        asked(remit)
        os.kill(remit.ready["pid"], signal.SIGKILL)
        reply = call.result()
    assert (reply.status, reply.code) in {(503, "approval-unavailable"), (0, "")}
    remit.event("ready")
    assert by_bob(remit, "agreed to before", wait=0).status == 403, "none survives control"
    assert upstream() == before


def test_alone_the_owner_confirms_it_after_a_pause_with_a_reason_and_it_is_called_that(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("alone")
    policies = directory / "state" / "policies"
    policies.mkdir(parents=True)
    (policies / "p.cedar").write_text(POLICIES)
    alone = "[approvals]\nsingle_operator = true\nconfirm_seconds = 2\n"
    with (
        fake("vllm", directory) as server,
        guarding(directory / "state", PORT + 10, server.address, more=alone) as remit,
    ):
        own = curl(*chat("for myself"), "-H", "prefer: wait=0", url(remit))
        approval, reason = own.json["error"]["approval"], ("--reason", "the invoice is due today")
        early = approve(remit, approval, *reason, check=False)
        assert (early.returncode, "takes a pause" in early.stderr) == (3, True), early.stderr
        time.sleep(2)
        assert approve(remit, approval, check=False).returncode == 2, "a reason is needed"
        assert approve(remit, approval, *reason).stderr.splitlines()[-2] == f"self-confirmed {approval}, once"
        done = curl(*chat("for myself"), "-H", "prefer: wait=0", url(remit))
        assert done.status == 200
        [allowed] = [one for one in records(remit.state) if one.get("facts", {}).get("approval")]
        assert allowed["facts"]["approval"]["kind"] == "self-confirmed"
        assert "self-confirmed" in remit.run("explain", done.headers["remit-decision"]).stdout
        acts = [one["what"] for one in records(remit.state) if one["kind"] == "act"]
        assert ("approval.self-confirmed" in acts, "approval.approved" in acts) == (True, False)
        assert curl(*chat("for myself"), "-H", "prefer: wait=0", url(remit)).status == 403
