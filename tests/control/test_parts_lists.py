"""Sub-agents get sub-tasks that list less: `authorization_details` names tools, ceiling, destinations and budget."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.control.oauth_form import JWT
from remit.detect import Label
from remit.tasks import Budget, Constraint, Reach, Task, ToolGrant
from remit.tasks import delegation as limits
from remit.tasks.delegation import UNAVAILABLE, DelegationError
from tests.control.test_realm import LLAMA
from tests.control.test_token_endpoint import AGENT, HELPER, NAMED, Office

SEND = ToolGrant("mail/send", (("to", Constraint(host_in=("x.example",))),), others=False)
READ = ToolGrant("mail/read*")
REACH = Reach((), (SEND, READ), Label.CONFIDENTIAL, ("archive", "*.x.example"), Budget(calls=10, tokens=100), True)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.world.store.close()


def start(office: Office, reach: Reach = REACH) -> tuple[str, str]:
    """A task of ada's with lists, and its token."""
    tasking, actions = office.world.realm.tasking, ("infer", "call_tool")
    said: dict[str, Any] = {"purpose": "mail", "seconds": 1_200.0, "proof": "terminal", "reach": reach}
    task, token = office.world.run(lambda: tasking.start(office.ada, LLAMA, actions, **said))
    return task.id, token


def details(**lists: Any) -> dict[str, str]:
    return {"authorization_details": json.dumps([{"type": "remit_task", **lists}])}


def part(office: Office, token: str, **lists: Any) -> tuple[Task, dict[str, Any]]:
    answer = office.exchange(office.client(AGENT), token, **details(**lists))
    [told] = answer["authorization_details"]
    return office.world.realm.tasks[told["task"]], told


def test_a_part_lists_what_its_task_lists_unless_it_says_less(office: Office) -> None:
    _, token = start(office)
    same, told = part(office, token)
    assert (same.tools, same.ceiling, same.budget, same.present) == (
        REACH.tools,
        Label.CONFIDENTIAL,
        REACH.budget,
        True,
    )
    assert [one["tool"] for one in told["tools"]] == ["mail/send", "mail/read*"]
    send = {"tool": "mail/send", "arguments": {"to": {"equals": "b@x.example"}}}
    less, told = part(
        office, token, tools=["mail/read_thread", send], ceiling="internal",
        destinations=["a.x.example"], budget={"calls": 2},
    )  # fmt: skip
    assert [one.tool for one in less.tools] == ["mail/read_thread", "mail/send"]
    assert less.fits("mail/send", {"to": "b@x.example"})
    for more in ({"to": "a@x.example"}, {"to": "b@x.example", "bcc": "e@e.example"}):
        assert not less.fits("mail/send", more)
    assert (less.ceiling, less.destinations, less.budget) == (Label.INTERNAL, ("a.x.example",), Budget(2, 100))
    assert told["budget"] == {"calls": 2, "tokens": 100}
    assert office.world.acts[-1][3]["tools"] == ["mail/read_thread", "mail/send"]


def test_what_a_helper_gets_is_within_what_the_agent_got(office: Office) -> None:
    _, token = start(office)
    answer = office.exchange(office.client(AGENT), token, **details(tools=["mail/read_thread"], budget={"calls": 2}))
    handed = answer["access_token"]
    to_helper = {"actor_token": office.svid(HELPER), "actor_token_type": JWT}
    again = office.exchange(office.client(AGENT), handed, **to_helper, **details(budget={"calls": 1}))
    [told] = again["authorization_details"]
    assert ([one["tool"] for one in told["tools"]], told["budget"]) == (
        ["mail/read_thread"],
        {"calls": 1, "tokens": 100},
    )
    for more in ({"tools": ["mail/send"]}, {"budget": {"calls": 3}}):
        office.refused("invalid_authorization_details", office.client(AGENT), handed, **details(**more))


@pytest.mark.parametrize(
    "more",
    [
        {"tools": ["files/read"]}, {"tools": ["mail/*"]}, {"tools": [{"tool": "mail/send", "others": True}]},
        {"tools": [{"tool": "mail/send", "arguments": {"to": {"equals": "e@evil.example"}}}]},
        {"ceiling": "restricted"}, {"destinations": ["evil.example"]}, {"destinations": ["*"]},
        {"budget": {"calls": 11}}, {"present": False},
    ],
)  # fmt: skip
def test_more_is_refused_and_on_record(office: Office, more: dict[str, Any]) -> None:
    _, token = start(office)
    office.refused("invalid_authorization_details", office.client(AGENT), token, **details(**more))
    assert office.refused("invalid_scope", office.client(AGENT), token, scope="infer disclose")


@pytest.mark.parametrize(
    "bad",
    [
        {"tools": "mail/send"},
        {"tools": [{"tool": "a\u202e"}]},
        {"ceiling": []},
        {"budget": {"calls": "2"}},
        {"tool": 1},
    ],
)
def test_what_can_not_be_read_is_refused(office: Office, bad: dict[str, Any]) -> None:
    with pytest.raises(DelegationError) as raised:
        office.asked("remit_task_x", **details(**bad))
    assert raised.value.code == "invalid_authorization_details"


def test_a_workload_s_own_part_lists_what_it_says(office: Office) -> None:
    own = office.exchange(office.client(AGENT), office.svid(AGENT), **NAMED, **details(budget={"calls": 3}))
    [told] = own["authorization_details"]
    assert office.world.realm.tasks[told["task"]].budget == Budget(calls=3)


def test_no_part_lists_more_than_a_task_may(office: Office) -> None:
    _, token = start(office, dataclasses.replace(REACH, tools=(ToolGrant("*"),)))
    long = [f"{'x' * 500}{at}" for at in range(80)]
    said = office.refused("invalid_authorization_details", office.client(AGENT), token, **details(tools=long))
    assert "longer than 32,768 characters" in said


def test_long_lists_have_no_end_of_room(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = start(office)
    part(office, token)
    monkeypatch.setattr(limits, "MAX_PARTS_LISTED", 100)
    office.refused(UNAVAILABLE, office.client(AGENT), token)


def test_what_a_task_has_spent_is_not_its_part_s(office: Office) -> None:
    task_id, token = start(office)
    realm = office.world.realm
    realm.keep_task(
        dataclasses.replace(realm.tasks[task_id], spent=dataclasses.replace(realm.tasks[task_id].spent, calls=4))
    )
    assert part(office, token)[0].spent.calls == 0
