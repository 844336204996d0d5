"""Policies edited while Remit runs: a good edit goes in force whole, a broken one leaves the last good set."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Remit
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.faults.world import ask, chat, end_of, port_of, raw_chat, records, status_of, until

PORT = 28700
BROKEN = '// mine\npermit (principal, action == Action::"infer", resource\n'
FORBID = '@id("no-inference")\n@reason("not today")\nforbid (principal, action == Action::"infer", resource);\n'


@pytest.fixture
def policies(remit: Remit) -> Iterator[Path]:
    """The policy directory; what a test added is taken away again."""
    directory = remit.state / "policies"
    before = status_of(remit)["policies"]["set"]
    yield directory
    if (directory / "mine.cedar").exists():
        (directory / "mine.cedar").unlink()
        until(lambda: policy_event(remit)["set"] == before, "the starter policies are in force again")


def put(directory: Path, text: str) -> None:
    draft = directory / ".mine.new"
    draft.write_text(text)
    draft.replace(directory / "mine.cedar")


def policy_event(remit: Remit) -> dict[str, Any]:
    return remit.event("policy", 10)


def test_a_broken_edit_keeps_the_last_good_set_and_everyone_hears(remit: Remit, policies: Path) -> None:
    port, before = port_of(remit), status_of(remit)["policies"]["set"]
    put(policies, BROKEN)
    event = policy_event(remit)
    assert "mine.cedar:" in event["warning"]
    assert event["set"] == before
    status = status_of(remit)["policies"]
    assert status["set"] == before
    assert "mine.cedar:" in status["warning"]
    assert "NOT in force" in remit.run("status").stdout
    malformed = ask(port, "GET", "/" + "x" * 9000)
    for reply in (
        chat(port),
        ask(port),
        ask(port, "GET", "/nowhere"),
        malformed,
        chat(port, "streamed", stream=True),
    ):
        assert "not in force" in reply.headers["remit-policy-warning"]
    assert chat(port).status == 200, "the last good set decides"
    rejected = [one for one in records(remit.state) if one["kind"] == "act" and one["what"] == "policy.rejected"]
    assert "mine.cedar:" in rejected[-1]["facts"]["why"]
    put(policies, FORBID)
    assert policy_event(remit)["warning"] == ""
    reply = until(lambda: refused(port), "the mended edit decides")
    assert "remit-policy-warning" not in reply.headers
    assert status_of(remit)["policies"]["set"] != before


def test_an_edit_ends_the_calls_under_way_that_it_no_longer_permits(
    remit: Remit, server: FakeAwkwardServer, policies: Path
) -> None:
    with raw_chat(port_of(remit), "endless stream") as sock:
        said = sock.recv(4096)
        put(policies, "// a comment changes the set, and permits what was permitted\n")
        policy_event(remit)
        assert sock.recv(4096), "it goes on"
        put(policies, FORBID)
        policy_event(remit)
        assert server.cut.acquire(timeout=1)
    decision = next(line for line in said.split(b"\r\n") if line.startswith(b"remit-decision"))
    assert end_of(remit.state, decision.split(b": ")[1].decode())["outcome"] == "cut"


def refused(port: int) -> Any:
    reply = chat(port)
    return reply if reply.status == 403 else None


def test_a_mended_edit_is_in_force_at_once_for_every_call_after_the_word(remit: Remit, policies: Path) -> None:
    port = port_of(remit)
    for _ in range(3):
        put(policies, FORBID)
        policy_event(remit)
        assert {chat(port).status for _ in range(5)} == {403}
        put(policies, "")
        policy_event(remit)
        assert {chat(port).status for _ in range(5)} == {200}


def test_a_directory_that_was_emptied_keeps_the_last_good_set(remit: Remit, policies: Path) -> None:
    starter = policies / "starter.cedar"
    text = starter.read_text()
    starter.unlink()
    try:
        assert policy_event(remit)["warning"]
        assert chat(port_of(remit)).status == 200
    finally:
        starter.write_text(text)
    assert policy_event(remit)["warning"] == ""


@pytest.mark.parametrize("fault", ["writable", "link", "bytes", "name"])
def test_a_file_that_can_not_be_trusted_or_read_is_no_policy(remit: Remit, policies: Path, fault: str) -> None:
    file = policies / "mine.cedar"
    if fault == "writable":
        file.write_text(FORBID)
        file.chmod(0o666)
    elif fault == "link":
        file.symlink_to("/etc/hostname")
    elif fault == "bytes":
        file.write_bytes(b"permit\xff")
    else:
        file.mkdir()
    try:
        assert policy_event(remit)["warning"]
        assert chat(port_of(remit)).status == 200
    finally:
        file.rmdir() if fault == "name" else file.unlink()
    assert policy_event(remit)["warning"] == ""


def test_the_record_of_a_call_names_the_set_that_decided_it(remit: Remit) -> None:
    reply = chat(port_of(remit))
    shown = json.loads(remit.run("audit", "show", reply.headers["remit-decision"], "--json").stdout.splitlines()[0])
    assert status_of(remit)["policies"]["set"] in json.dumps(shown)


VERSION = '@id("{file}-{number}")\npermit (principal, action == Action::"list", resource);\n'


def test_under_load_every_decision_is_by_one_whole_version(remit: Remit, policies: Path) -> None:
    """Both files of a version permit, so a decision names two policies: of the set that it says it is by."""
    port, over = port_of(remit), threading.Event()
    statuses: Counter[int] = Counter()

    def caller() -> None:
        while not over.is_set():
            statuses[ask(port).status] += 1

    callers = [threading.Thread(target=caller) for _ in range(6)]
    for one in callers:
        one.start()
    other = policies / "other.cedar"
    try:
        for number in range(6):
            other.write_text(VERSION.format(file="other", number=number))
            put(policies, VERSION.format(file="mine", number=number))
            until(lambda number=number: f"mine-{number}" in last_ids(remit.state), "the edit decides")  # type: ignore[misc]
    finally:
        over.set()
        for one in callers:
            one.join(20)
        other.unlink(missing_ok=True)
    by_set: dict[str, set[frozenset[str]]] = {}
    for record in records(remit.state):
        if record["kind"] == "start" and record["action"] == "list":
            ids = frozenset(policy["id"] for policy in record["policies"])
            by_set.setdefault(record["policy_set"], set()).add(ids)
    assert all(len(of_one_set) == 1 for of_one_set in by_set.values()), by_set
    assert len(by_set) >= 6
    assert set(statuses) == {200}, statuses


def last_ids(state: Path) -> set[str]:
    starts = [record for record in records(state) if record["kind"] == "start" and record["action"] == "list"]
    return {policy["id"] for policy in starts[-1]["policies"]}
