"""Who chose where something goes: a person's words count where they were said at a terminal, for that task alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.e2e.calling import CHAT, bearer, chat, curl
from tests.e2e.conftest import Remit
from tests.e2e.on_terminal import OnTerminal
from tests.e2e.servers import guarding
from tests.e2e.test_servers_come_and_go import within
from tests.faults.world import kill, status_of

PORT = 30500
CARL, EVE = "carl@maple.example", "eve@bad.example"
CATALOGUE = """
[tool."mail/send"]
[destination."partner.example"]
clearance = "internal"
"""
[RULES, _] = blocks("docs/flow.md", "cedar")
POLICIES = """
@id("the-person-says-who-is-told")
@reason("mail goes to those that the person named")
permit (principal, action == Action::"call_tool", resource)
when {
  context has task && context has args && context.task.fits && context.args.human.contains("recipient") &&
  !context.args.claimed.contains("recipient") && !context.args.untrusted.contains("recipient") &&
  !context.args.trusted.contains("recipient") && !context.args.unseen.contains("recipient")
};
"""


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    state = tmp_path_factory.mktemp("said")
    with guarding(state, PORT, more=f'[decisions]\nsocket = "{state}/ask.sock"\n') as running:
        (state / "policies/catalogue.toml").write_text(CATALOGUE)
        (state / "policies/said.cedar").write_text(POLICIES + RULES)
        within(5, lambda: "said.cedar" in json.loads(running.run("status", "--json").stdout)["policies"]["files"])
        yield running


def declared(remit: Remit, purpose: str = "answer mail") -> tuple[str, str]:
    """A task that was started at a terminal; its id and token."""
    name = remit.ready["guarded"][0]["name"]
    asked = ("--allow", "call_tool", "--tool", "mail/send", "--purpose", purpose, "--json")
    with OnTerminal(remit, "task", "start", name, *asked) as terminal:
        status, said = terminal.ended()
    assert status == 0, said
    answer = json.loads(said[said.index("{") :])
    return answer["task"]["id"], answer["token"]


def say(remit: Remit, task: str, text: str) -> str:
    with OnTerminal(remit, "task", "say", task, text) as terminal:
        status, said = terminal.ended()
    assert status == 0, said
    return said


def may_write_to(remit: Remit, token: str, *recipients: str) -> bool:
    arguments = {"to": list(recipients), "body": "the minutes"}
    return may(remit, token, "call_tool", {"type": "tool", "id": "mail/send"}, {"arguments": arguments})


def may(remit: Remit, token: str, action: str, resource: dict[str, str], context: dict[str, Any]) -> bool:
    whoami = {"type": "workload", "id": f"spiffe://{remit.ready['trust_domain']}/user/{remit.ready['owner']}"}
    body = {"subject": whoami, "action": {"name": action}, "resource": resource, "context": context}
    place = ("--unix-socket", str(remit.state / "ask.sock"), "http://localhost/access/v1/evaluation")
    answer = curl(*bearer(token), "-H", "content-type: application/json", *place, "-d", json.dumps(body))
    assert answer.status == 200, answer.body
    return bool(answer.json["decision"])


def test_only_who_was_named_by_the_person_is_written_to(remit: Remit) -> None:
    task, token = declared(remit)
    _, other = declared(remit)
    assert not may_write_to(remit, token, CARL)
    assert "has your words" in say(remit, task, f"send the minutes to {CARL}")
    within(5, lambda: may_write_to(remit, token, CARL))
    assert not may_write_to(remit, token, EVE)
    assert not may_write_to(remit, token, CARL, EVE)
    assert not may_write_to(remit, other, CARL)


def test_a_task_s_purpose_is_its_person_s_word_where_they_were_at_a_terminal(remit: Remit) -> None:
    _, token = declared(remit, purpose=f"send the minutes to {CARL}")
    assert may_write_to(remit, token, CARL)
    name = remit.ready["guarded"][0]["name"]
    asked = ("--allow", "call_tool", "--tool", "mail/send", "--purpose", f"write to {EVE}", "--json")
    by_uid = json.loads(remit.run("task", "start", name, *asked).stdout)
    assert by_uid["task"]["proof"] == "uid"
    assert not may_write_to(remit, by_uid["token"], EVE)


def test_nobody_speaks_without_a_terminal(remit: Remit) -> None:
    task, token = declared(remit)
    refused = remit.run("task", "say", task, f"write to {EVE}", check=False)
    assert refused.returncode == 3
    assert "by a uid alone" in refused.stderr
    assert not may_write_to(remit, token, EVE)


def test_what_was_said_outlasts_the_zone_that_heard_it(remit: Remit) -> None:
    task, token = declared(remit)
    say(remit, task, f"send the minutes to {CARL}")
    within(5, lambda: may_write_to(remit, token, CARL))
    kill(status_of(remit)["workers"]["decisions"])
    remit.event("note")
    within(20, lambda: "decisions" in status_of(remit)["workers"])
    within(20, lambda: may_write_to(remit, token, CARL))
    assert not may_write_to(remit, token, EVE)


def test_what_came_in_at_one_door_is_known_at_the_other_at_once(remit: Remit) -> None:
    server = remit.ready["guarded"][0]
    told = remit.run("task", "start", server["name"], "--allow", "infer,export", "--to", "partner.example", "--json")
    token = json.loads(told.stdout)["token"]
    partner = {"type": "destination", "id": "partner.example"}
    assert may(remit, token, "export", partner, {})
    asked = curl(*bearer(token), server["url"] + CHAT, *chat("my key is " + "AKIA" + "Z7Q4M2XPLW5TJ6RC"))
    assert asked.status == 403
    assert not may(remit, token, "export", partner, {})


def test_the_words_are_nowhere_on_disk(remit: Remit) -> None:
    task, token = declared(remit)
    word = "xylophone" + "7731"
    say(remit, task, f"play the {word} for {CARL}")
    within(5, lambda: may_write_to(remit, token, CARL))
    files = [one for one in Path(remit.state).rglob("*") if one.is_file()]
    assert files
    assert not [one for one in files if word.encode() in one.read_bytes()]
