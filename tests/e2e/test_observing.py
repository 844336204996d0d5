"""A whole Remit whose policies are only observed: nothing of theirs refuses, and everything says so."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.calling import CHAT, bearer, chat, curl
from tests.e2e.conftest import Remit
from tests.e2e.servers import fake, guarding, start_task

PORT = 29270
LISTS_ALONE = """
@id("lists") permit (principal, action == Action::"list", resource);
@id("no-health") forbid (principal, action == Action::"health", resource);
"""


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    directory = tmp_path_factory.mktemp("observing")
    policies = directory / "state" / "policies"
    policies.mkdir(parents=True)
    (policies / "p.cedar").write_text(LISTS_ALONE)
    with ExitStack() as stack:
        server = stack.enter_context(fake("vllm", directory))
        observe = '[policy]\nmode = "observe"\n'
        yield stack.enter_context(guarding(directory / "state", PORT, server.address, more=observe))


@pytest.fixture
def server(remit: Remit) -> dict[str, Any]:
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    return guarded


def counted(remit: Remit) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(remit.run("status", "--json").stdout)["would_refuse"]
    return told


def test_the_start_says_that_nothing_is_enforced(remit: Remit) -> None:
    assert remit.ready["policies"]["mode"] == "observe"
    assert "NOT ENFORCING" in remit.ready["policies"]["not_enforcing"]
    assert '"policies":"not enforced"' in remit.run("audit", "tail", "--json", "-n", "200").stdout


def test_what_policies_would_refuse_is_answered_counted_and_explained(remit: Remit, server: dict[str, Any]) -> None:
    before = counted(remit)["number"]
    chats = [curl(*chat("hello"), server["url"] + CHAT) for _ in range(3)]
    health, listed = curl(server["url"] + "/health"), curl(server["url"] + "/v1/models")
    for reply in (*chats, health, listed):
        assert reply.status == 200
        assert reply.headers["remit-not-enforcing"] == "all policies"
    end = time.monotonic() + 5
    while counted(remit)["number"] < before + 4 and time.monotonic() < end:
        time.sleep(0.1)
    rows = {(row["rule"], row["action"]): row for row in counted(remit)["most"]}
    assert rows[("default-deny", "infer")]["newest"] == chats[-1].headers["remit-decision"]
    assert ("no-health", "health") in rows
    assert counted(remit)["number"] == before + 4
    for reply, rule in ((chats[0], "default-deny"), (health, "no-health")):
        told = remit.run("explain", reply.headers["remit-decision"]).stdout
        assert told.startswith("allowed")
        assert "NOT ENFORCING" in told
        assert f"{rule} would have refused it" in told
    assert "would have refused" not in remit.run("explain", listed.headers["remit-decision"]).stdout
    learned = remit.run("policy", "learn", "--since", "1h").stdout
    assert 'Action::"list"' in learned
    assert 'Action::"infer"' not in learned, "what no policy permits is not learned from its having gone through"
    assert 'Action::"health"' not in learned


def test_screens_say_so(remit: Remit, server: dict[str, Any]) -> None:
    assert "NOT ENFORCING" in remit.run("status").stdout
    for command in (("whois", server["name"]), ("policy", "show"), ("policy", "check")):
        assert "NOT ENFORCING" in remit.run(*command).stdout, command
    asked = remit.run("can", remit.ready["owner"], "infer", server["name"], check=False)
    assert asked.returncode == 3
    assert asked.stdout.startswith("refused")
    assert "NOT ENFORCING" in asked.stdout


def test_what_a_task_does_not_cover_is_refused_all_the_same(remit: Remit, server: dict[str, Any]) -> None:
    _, token = start_task(remit, server["name"], "list")
    refused = curl(*chat("hello"), *bearer(token), server["url"] + CHAT)
    assert (refused.status, refused.json["error"]["rule"]) == (403, "remit:outside-task")
    assert refused.headers["remit-not-enforcing"] == "all policies"
    remit.run("workload", "suspend", server["name"])
    refused = curl(*chat("hello"), server["url"] + CHAT)
    assert (refused.status, refused.json["error"]["rule"]) == (403, "remit:not-active")
