"""Requests through a real Envoy, which asks Remit about each: what goes on, what is refused, what is on record."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.inventory import LifeState
from remit.policy.link import AskPeople, Raise, Reserve
from remit.tasks import Budget, Task
from remit.tasks.token import digest
from tests.envoy.proxy import documented
from tests.envoy.world import BOT, CHAT, JSON, POINT, SECRET, SERVER, World, policies, world
from tests.gateway.test_model_in_force import server
from tests.policy.worlds import sid

TOKEN = "remit_task_" + "A" * 43
Saying = Callable[[World], Awaitable[None]]


def behind_envoy(place: Path, saying: Saying, *changes: tuple[str, str]) -> World:
    async def play() -> World:
        async with world(place, *changes) as here:
            await saying(here)
        return here

    return asyncio.run(play())


def test_an_owner_s_agent_goes_through_and_it_is_on_record_with_the_point_that_asked(tmp_path: Path) -> None:
    async def saying(here: World) -> None:
        reply = await here.call(headers={**JSON, "authorization": "Bearer unused", "cookie": "a=b", "x-custom": "1"})
        assert (reply.status, reply.body) == (200, b"ok")
        assert reply.headers["remit-decision"]
        assert reply.headers["remit-grade"].startswith("C")

    here = behind_envoy(tmp_path, saying)
    [start], [end] = here.records("start"), here.records("end")
    assert start["outcome"] == "allowed"
    assert (start["workload"], start["proof"], start["action"]) == (str(BOT), "vouched", "infer")
    assert start["facts"]["point"] == str(POINT)
    assert end["outcome"] == "decided"
    [head] = here.behind.heads
    assert not [name for name in ("authorization", "cookie", "x-custom", "x-forwarded") if name in head]


async def refused_with(here: World, rule: str, **said: Any) -> str:
    """The refusal's message."""
    before = len(here.behind.heads)
    reply = await here.call(**said)
    assert reply.status in {400, 401, 403, 404, 405, 503}, (said, reply)
    assert reply.error["rule"] == rule, (said, reply.body)
    assert len(here.behind.heads) == before, "it went on"
    return str(reply.error["message"])


NEVER: list[tuple[str, dict[str, Any]]] = [
    ("default-deny", {"by": "stranger"}),
    ("remit:unknown-route", {"path": "/v1/nothing"}),
    ("remit:unsafe-route", {"method": "GET", "path": "/v1/streams", "body": None}),
    ("remit:bad-request", {"body": b'{"model": "smol", "model": "other"}'}),
    ("remit:bad-request", {"body": b'{"prompt": "caf\xe9"}'}),
    ("remit:bad-request", {"method": "GET", "path": "/v1/models", "body": {}}),
    ("remit:not-verbatim", {"body": CHAT | {"messages": [{"role": "user", "content": f"my key is {SECRET}"}]}}),
    ("remit:not-verbatim", {"body": CHAT | {"cache_prompt": True}}),
    ("remit:not-verbatim", {"body": CHAT | {"id_slot": 3}}),
    ("remit:not-verbatim", {"body": None}),
    ("remit:not-verbatim", {"headers": {"content-type": "text/plain"}}),
    ("remit:not-verbatim", {"headers": {"content-type": "application/json; charset=utf-16"}}),
    ("remit:not-verbatim", {"path": "/v1/chat/%63ompletions"}),
    ("remit:forbidden-header", {"headers": {**JSON, "x-http-method-override": "GET"}}),
    ("remit:browser-page", {"headers": {**JSON, "origin": "https://elsewhere.example"}}),
]


def test_what_the_gateway_refuses_or_would_have_changed_never_goes_on(tmp_path: Path) -> None:
    async def saying(here: World) -> None:
        for rule, said in NEVER:
            await refused_with(here, rule, **said)
        assert (await here.call()).status == 200

    here = behind_envoy(tmp_path, saying)
    refusals = [start for start in here.records() if start["outcome"] == "refused"]
    assert len(refusals) == len(NEVER), "each is on record"
    assert [told.rule for told in here.told] == ["default-deny"], "the owner's terminal shows what policies refuse"
    assert SECRET not in str(refusals)


def test_only_its_owner_shares_a_prompt_cache(tmp_path: Path) -> None:
    """bob may infer here, but not with a cache that ada's prompts are in."""
    anybody = '@id("anybody") permit(principal, action == Action::"infer", resource);'

    async def saying(here: World) -> None:
        here.put(**policies(anybody))
        shared = {name: value for name, value in CHAT.items() if name != "cache_prompt"}
        await refused_with(here, "remit:shared-prompt-cache", by="stranger", body=shared)
        assert (await here.call(by="bot", body=shared)).status == 200
        assert (await here.call(by="stranger")).status == 200

    behind_envoy(tmp_path, saying)


def test_who_calls_is_who_the_certificate_proves(tmp_path: Path) -> None:
    """Envoy is set to take any certificate, or none: then it is Remit that lets nobody in who has no good one."""
    lax = (
        ("require_client_certificate: true", "require_client_certificate: false"),
        (
            "trusted_ca: {filename: ",
            "trust_chain_verification: ACCEPT_UNTRUSTED\n                  trusted_ca: {filename: ",
        ),
    )

    async def saying(here: World) -> None:
        await refused_with(here, "remit:unidentified", by="forged")
        await refused_with(here, "remit:unidentified", by=None)
        forwarded = {**JSON, "x-forwarded-client-cert": f"URI={BOT}"}
        await refused_with(here, "remit:unidentified", by=None, headers=forwarded)
        for token in (here.jwt(to=sid("inference", "other")), "remit_task_" + "B" * 43):
            await refused_with(here, "remit:unidentified", by=None, headers={**JSON, "x-api-key": token})
        told = {**JSON, "authorization": f"Bearer {here.jwt()}"}
        assert (await here.call(by=None, headers=told)).status == 200
        assert (await here.call(by="bot")).status == 200

    here = behind_envoy(tmp_path, saying, *lax)
    assert [start["proof"] for start in here.records()] == ["jwt-svid", "vouched"]
    assert sum(row["count"] for row in here.records("refusals")) == 5


def task(here: World, *actions: str, **changed: Any) -> Task:
    now = here.zone.clock()
    row = Task("t1", "ada", SERVER, actions or ("list",), "look", now - 60, now + 600, digest(TOKEN), "terminal")
    return replace(row, **changed)


WITH_TASK = {**JSON, "authorization": f"Bearer {TOKEN}"}


def test_a_task_s_token_adds_the_task_and_ends_with_it(tmp_path: Path) -> None:
    async def saying(here: World) -> None:
        await refused_with(here, "remit:unidentified", headers=WITH_TASK)
        here.put(tasks=(task(here),))
        assert (await here.call("GET", "/v1/models", None, headers=WITH_TASK)).status == 200
        await refused_with(here, "remit:outside-task", headers=WITH_TASK)
        await refused_with(here, "remit:unidentified", headers=WITH_TASK, by="stranger")
        here.put(tasks=(task(here, ended=here.zone.clock()),))
        await refused_with(here, "remit:unidentified", method="GET", path="/v1/models", body=None, headers=WITH_TASK)

    here = behind_envoy(tmp_path, saying)
    assert [start["task"] for start in here.records()] == ["t1", "t1"]


def test_what_came_in_is_kept_before_it_goes_on_and_without_control_it_does_not(tmp_path: Path) -> None:
    brought = CHAT | {"messages": [{"role": "tool", "tool_call_id": "1", "content": "from outside"}]}

    async def saying(here: World) -> None:
        here.put(tasks=(task(here, "infer"),))
        assert (await here.call(body=brought, headers=WITH_TASK)).status == 200
        raised = [(one.task, one.high, one.untrusted) for one in here.control.asked]
        assert ("t1", "public", True) in raised
        assert ("t1", "internal", True) in raised or ("t1", "internal", False) in raised
        here.control.answers[Raise] = {"refused": "the disk is full"}
        await refused_with(here, "remit:control-gone", body=brought, headers=WITH_TASK)

    behind_envoy(tmp_path, saying)


def test_a_budget_that_only_an_answer_s_reader_could_keep_is_refused(tmp_path: Path) -> None:
    async def saying(here: World) -> None:
        for uncounted in (Budget(tokens=10**6), Budget(bytes=10**9), Budget(calls=5, seconds=600)):
            here.put(tasks=(task(here, "infer", budget=uncounted),))
            await refused_with(here, "remit:uncounted-budget", headers=WITH_TASK)
        here.put(tasks=(task(here, "infer", budget=Budget(calls=5)),))
        assert (await here.call(headers=WITH_TASK)).status == 200
        here.control.answers[Reserve] = {"amount": {"calls": 0}}
        await refused_with(here, "remit:budget-spent", headers=WITH_TASK)

    behind_envoy(tmp_path, saying)


def test_what_takes_an_approval_is_refused_with_a_handle_and_goes_on_once_somebody_agreed(tmp_path: Path) -> None:
    needed = """@id("ask") @approval("owner") permit(principal, action, resource);"""

    async def saying(here: World) -> None:
        here.put(**policies(needed))
        here.control.answers[AskPeople] = {"pending": "a-1"}
        reply = await here.call()
        assert (reply.status, reply.error["rule"]) == (403, "remit:approval-needed")
        assert "a-1" in str(reply.error)
        [asked] = here.control.asked
        assert "hello" in asked.asked["arguments"], "people see what would be sent"
        here.control.answers[AskPeople] = {"approval": approval(here)}
        assert (await here.call()).status == 200
        here.control.answers[AskPeople] = {"approval": approval(here) | {"policy_set": "another"}}
        await refused_with(here, "remit:approval-needed")
        here.control.answers[AskPeople] = {"refused": "no", "rule": "denied"}
        await refused_with(here, "remit:approval-denied")

    here = behind_envoy(tmp_path, saying)
    [allowed] = [start for start in here.records() if start["outcome"] == "allowed"]
    assert allowed["facts"]["approval"]["id"] == "a-1"


def approval(here: World) -> dict[str, Any]:
    return {
        "id": "a-1",
        "policy_set": here.zone.snapshot.policy_set,
        "level": "owner",
        "by": "bob",
        "requester": "ada",
        "expires": here.zone.clock() + 60,
        "self_confirmed": False,
    }


@pytest.mark.parametrize(
    "change",
    [
        ("pack_as_bytes: true", "pack_as_bytes: false"),
        (
            "max_request_bytes: 4000000\n                        allow_partial_message: false",
            "max_request_bytes: 20\n                        allow_partial_message: true",
        ),
        ("remit.workload: ", "remit.other: "),
    ],
)
def test_a_point_that_sends_less_than_it_takes_lets_nothing_through(tmp_path: Path, change: tuple[str, str]) -> None:
    """And is told which of its settings it is."""

    async def saying(here: World) -> None:
        setting = change[0].split(":")[-2].split()[-1] if "remit" not in change[0] else "remit.workload"
        assert f"`{setting}`" in await refused_with(here, "remit:enforcement-point")

    behind_envoy(tmp_path, saying, change)


def test_what_goes_on_is_byte_for_byte_what_was_decided_on(tmp_path: Path) -> None:
    """Also what comes in pieces, without a length."""
    odd = b'{ "messages":[{"role":"user","content":"h\\u00e9llo \xf0\x9f\x8c\xb3"}],\t"model":"smol", "n":1.50}'
    in_pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (odd[:7], odd[7:], b""))

    async def saying(here: World) -> None:
        assert (await here.call(body=odd)).status == 200
        assert (await here.call(body=in_pieces, headers={**JSON, "transfer-encoding": "chunked"})).status == 200

    assert behind_envoy(tmp_path, saying).behind.bodies == [odd, odd]


def test_a_body_that_is_not_sent_is_not_taken_for_none(tmp_path: Path) -> None:
    """Neither one whose length is said, nor one in pieces, whatever the caller says of it."""
    head = "                      with_request_body:\n"
    unset = head + documented().partition(head)[2].partition("                      grpc")[0]

    async def saying(here: World) -> None:
        await refused_with(here, "remit:enforcement-point")
        in_pieces = {**JSON, "transfer-encoding": "chunked", "x-envoy-auth-partial-body": "false"}
        await refused_with(here, "remit:not-verbatim", headers=in_pieces, body=b"2\r\n{}\r\n0\r\n\r\n")

    behind_envoy(tmp_path, saying, (unset, ""))


def test_who_is_no_point_any_more_gets_no_answer_that_opens(tmp_path: Path) -> None:
    """Envoy is set to open on errors: Remit's refusals shut it all the same."""

    async def saying(here: World) -> None:
        assert (await here.call()).status == 200
        suspended = tuple(
            replace(one, state=LifeState.SUSPENDED) if one.spiffe_id == POINT else one
            for one in here.zone.snapshot.workloads
        )
        active = here.zone.snapshot.workloads
        here.put(workloads=suspended)
        await refused_with(here, "remit:unidentified")
        here.put(workloads=tuple(one for one in active if one.spiffe_id != POINT))
        await refused_with(here, "remit:unidentified")
        here.put(workloads=active)
        assert (await here.call()).status == 200
        here.log.close(t=here.zone.clock(), m=0.0)
        await refused_unrecorded(here)

    behind_envoy(tmp_path, saying, ("failure_mode_allow: false", "failure_mode_allow: true"))


def test_a_model_that_is_another_by_now_is_asked_nothing(tmp_path: Path) -> None:
    weights = tmp_path / "m.gguf"
    weights.write_bytes(b"GGUF")

    async def saying(here: World) -> None:
        bound = server(weights, "smol")
        others = [one for one in here.zone.snapshot.workloads if one.spiffe_id != SERVER]
        here.put(workloads=(*others, replace(bound, spiffe_id=SERVER)))
        assert (await here.call()).status == 200
        weights.write_bytes(b"another")
        await refused_with(here, "remit:model-changed")

    behind_envoy(tmp_path, saying)


class Slow:
    """A log that takes its time with records: none is on disk before `open` is set."""

    def __init__(self, log: Any) -> None:
        self._log, self.open = log, asyncio.Event()

    async def record(self, *record: Any) -> Any:
        await self.open.wait()
        return await self._log.record(*record)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


def test_nothing_goes_on_before_its_record_is_on_disk(tmp_path: Path) -> None:
    async def saying(here: World) -> None:
        slow: Any = Slow(here.log)
        here.zone.audit = slow
        waiting = asyncio.ensure_future(here.call())
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert here.behind.heads == []
        slow.open.set()
        assert (await waiting).status == 200

    behind_envoy(tmp_path, saying)


async def refused_unrecorded(here: World) -> None:
    before = len(here.behind.heads)
    reply = await here.call()
    assert (reply.status, reply.error["rule"]) == (503, "remit:log-unavailable")
    assert len(here.behind.heads) == before


def test_a_large_body_and_many_at_once(tmp_path: Path) -> None:
    async def saying(here: World) -> None:
        large = CHAT | {"messages": [{"role": "user", "content": "hello " * 600_000}]}
        assert (await here.call(body=large)).status == 200
        replies = await asyncio.gather(*[here.call() for _ in range(40)])
        assert {reply.status for reply in replies} == {200}
        too_large = CHAT | {"messages": [{"role": "user", "content": "hello " * 700_000}]}
        assert (await here.call(body=too_large)).status == 413, "Envoy holds no more"

    here = behind_envoy(tmp_path, saying)
    assert len(here.records()) == 41
