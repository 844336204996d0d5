"""A call that waited for people is decided as all is by then: caller, server, model, policies, or not at all."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from remit.detect import Label
from remit.errors import ProtocolError
from remit.gateway import permitted as module
from remit.gateway.asking import Questions
from remit.gateway.call import Call
from remit.gateway.circumstances import circumstances_of
from remit.gateway.message import Request
from remit.gateway.permitted import permitted, wait_of
from remit.gateway.zone import Zone
from remit.identity import Caller
from remit.inventory import Model
from remit.policy import ApprovalNeededError, Engine, Permit, RefusedError, Snapshot
from remit.policy.link import Answer, AskPeople, FromWorker
from remit.redaction.scrubber import Scrubber
from tests.policy.worlds import LLAMA, NOW, intent, snapshot, task, workload

ASKS = '@id("ask") @approval("owner") permit(principal, action, resource);'
OTHER_DIGEST = "sha256:" + "cd" * 32


class NothingFound:
    """A detector that finds nothing."""

    def suspects(self, *_of_what: Any) -> bool:
        return False

    def scan(self, *_of_what: Any, **_how: Any) -> tuple[()]:
        return ()


class World:
    """A zone, and control that says `answer` after `meanwhile` happened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[FromWorker] = []
        self.answer: dict[str, Any] = {"approval": self.approval()}
        self.meanwhile: Any = lambda: None
        self.caller = intent().caller
        unused: Any = SimpleNamespace()
        self.zone = Zone(
            name="inference",
            engine=Engine(snapshot(ASKS)),
            audit=unused,
            digests=unused,
            scrubber=Scrubber(NothingFound()),  # type: ignore[arg-type]
            broker=unused,
            upstream=unused,
            timeouts=unused,
            executor=unused,
            clock=lambda: NOW + 5,
            monotonic=lambda: 0.0,
            cache_key=b"",
            told=lambda _: None,
            questions=Questions(self.control),
        )
        self.call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)

        async def who(*_of_what: Any) -> Caller:
            return self.caller

        monkeypatch.setattr(module, "identify", who)  # what the kernel says of a peer: it has its own tests

    def approval(self, **changed: Any) -> dict[str, Any]:
        row = {
            "id": "ap-1",
            "policy_set": snapshot(ASKS).policy_set,
            "level": "owner",
            "by": "bob",
            "requester": "ada",
            "expires": NOW + 300,
            "self_confirmed": False,
        }
        return {**row, **changed}

    def control(self, message: FromWorker) -> None:
        self.told.append(message)
        if isinstance(message, AskPeople):
            self.meanwhile()
            asyncio.get_running_loop().call_soon(self.zone.questions.answered, Answer(message.ask, self.answer))

    def permitted(self, **changed: Any) -> Permit:
        asked = replace(intent(), **changed)
        ask: Any = SimpleNamespace(
            forward={"messages": ["hello"], "cache_salt": "5a17"}, request=request(), workload=workload(LLAMA)
        )
        peer: Any = None

        async def go() -> Permit:
            return (await permitted(asked, ask, peer, self.zone, self.call))[1]

        return asyncio.run(go())

    def put(self, now: Snapshot) -> None:
        self.zone.engine = Engine(now)


def request(prefer: str = "") -> Request:
    headers = (("prefer", prefer),) if prefer else ()
    return Request("POST", "/v1/chat/completions", "", "", "", headers, b"", True, "1.1")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_people_are_asked_with_the_exact_arguments_and_the_call_goes_on_by_their_word(world: World) -> None:
    assert world.permitted().policies[0].id == "ask"
    [asked] = [one.asked for one in world.told if isinstance(one, AskPeople)]
    assert (asked["arguments"], asked["human"], asked["owner"]) == ('{"messages": ["hello"]}', "ada", "ada")
    assert (asked["binding"], asked["needed"]) == (intent().binding.hex(), "owner")
    assert world.call.approval is not None
    assert world.call.approval.id == "ap-1"


@pytest.mark.parametrize(
    "row",
    [
        {"policy_set": "sha256:another"},
        {"requester": "eve"},
        {"by": "ada"},
        {"expires": NOW + 4},
    ],
    ids=["of other policies", "of another's", "by who asks", "over"],
)
def test_an_approval_of_something_else_is_none(world: World, row: dict[str, Any]) -> None:
    world.answer = {"approval": world.approval(**row)}
    with pytest.raises(ApprovalNeededError):
        world.permitted()


def test_self_confirmed_is_not_enough_where_it_takes_an_approver(world: World) -> None:
    world.put(snapshot(ASKS.replace("owner", "approver")))
    policy_set = world.zone.snapshot.policy_set
    for row, enough in (
        (world.approval(by="ada", self_confirmed=True, policy_set=policy_set), False),
        (world.approval(level="approver", policy_set=policy_set), True),
    ):
        world.answer = {"approval": row}
        if enough:
            assert world.permitted().policies
        else:
            with pytest.raises(ApprovalNeededError):
                world.permitted()


def edited(world: World) -> None:
    world.put(snapshot(ASKS + " // edited", epoch=2))


def another_server(world: World) -> None:
    world.put(snapshot(ASKS, workloads=[replace(workload(LLAMA), upstream="http://127.0.0.1:9")], epoch=2))


def another_model(world: World) -> None:
    world.put(snapshot(ASKS, workloads=[replace(workload(LLAMA), models=(Model("smol", OTHER_DIGEST),))], epoch=2))


def gone(world: World) -> None:
    world.put(snapshot(ASKS, workloads=[], epoch=2))


def another_caller(world: World) -> None:
    world.caller = replace(world.caller, human="bob", person="p-2")


def another_s_task(world: World) -> None:
    world.caller = replace(world.caller, task="t1")


@pytest.mark.parametrize("change", [edited, another_server, another_model, gone, another_caller, another_s_task])
def test_what_is_another_by_then_goes_on_by_no_approval(world: World, change: Any) -> None:
    world.meanwhile = lambda: change(world)
    with pytest.raises((RefusedError, ProtocolError)):
        world.permitted(model_digest=workload(LLAMA).models[0].digest, model="smol")


@pytest.mark.parametrize("meanwhile", [{}, {"untrusted": True}, {"high": Label.CONFIDENTIAL}])
def test_what_came_into_the_task_while_people_read_has_to_be_seen_by_them(
    world: World, meanwhile: dict[str, Any]
) -> None:
    begun = task("infer")
    world.put(snapshot(ASKS, tasks=[begun]))
    world.caller = replace(world.caller, task=begun.id)
    asked = {"caller": world.caller, "circumstances": circumstances_of(world.caller, world.zone.engine, NOW)}
    world.meanwhile = lambda: world.put(snapshot(ASKS, tasks=[replace(begun, **meanwhile)], epoch=2))
    if not meanwhile:
        assert world.permitted(**asked).policies
        return
    with pytest.raises(ApprovalNeededError):
        world.permitted(**asked)


def test_the_same_model_goes_on(world: World) -> None:
    assert world.permitted(model_digest=workload(LLAMA).models[0].digest, model="smol").policies


@pytest.mark.parametrize(
    ("answer", "rule", "status"),
    [
        ({"refused": "a person said no", "rule": "denied"}, "remit:approval-denied", 403),
        ({"refused": "nobody answered in time", "rule": "timed-out"}, "remit:approval-timed-out", 403),
        ({"refused": "too many", "rule": "quiet"}, "remit:approval-quiet", 403),
        ({"refused": "the disk is full"}, "remit:approval-unavailable", 503),
        ({}, "remit:approval-unavailable", 503),
        ({"pending": "ap-7"}, "remit:approval-needed", 403),
    ],
)
def test_any_other_answer_refuses_and_says_which(
    world: World, answer: dict[str, Any], rule: str, status: int
) -> None:
    world.answer = answer
    with pytest.raises(RefusedError) as refused:
        world.permitted()
    assert (refused.value.rule, refused.value.status) == (rule, status)
    assert "remit " not in refused.value.hint.replace("runs remit", ""), "no command is told to a caller"


def test_without_control_nothing_goes_on(world: World) -> None:
    world.zone.questions.control_gone()
    with pytest.raises(RefusedError) as refused:
        world.permitted()
    assert (refused.value.rule, refused.value.status) == ("remit:approval-unavailable", 503)


def test_what_nobody_could_read_whole_is_asked_of_nobody(world: World) -> None:
    with pytest.raises(RefusedError) as refused:
        world.permitted(arguments={"text": "x" * (256 * 1024)})
    assert refused.value.rule == "remit:approval-too-long"
    assert world.told == []


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10.0),
        ("respond-async, wait=0", 0.0),
        ("Wait=5; x", 5.0),
        ("", None),
        ("wait", None),
        ("wait=-1", None),
        ("await=3", None),
        ("wait=99999999", None),
        ("wait=1.5", None),
    ],
)
def test_for_how_long_a_caller_would_wait(prefer: str, seconds: float | None) -> None:
    assert wait_of(request(prefer)) == seconds
