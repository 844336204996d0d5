"""Whose word is taken: callers ask about themselves, registered points about others, and nobody for nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.gateway.callers import by_svid
from remit.identity import Proof, SpiffeId
from remit.inventory import Human, Kind
from remit.tasks import Task
from tests.decisions.world import EVALUATION, EVALUATIONS, ME, World, files, snapshot, world
from tests.gateway.test_model_in_force import server
from tests.policy.worlds import BOT, LLAMA, sid, task, workload

BOB = Human("bob", "p-2", (4242,))
POLICIES = """
@id("own") @reason("owners use their servers")
permit (principal, action == Action::"infer", resource) when { principal.owner == resource.owner };
@id("bot") @reason("the agent uses ada's server")
permit (principal == Workload::"spiffe://maple.local/agent/bot", action == Action::"infer", resource);
@id("views") @reason("who owns a record sees it")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "view" && context.access.what_is.contains("public=true") };
"""
CATALOGUE = '[resource."record/1"]\nfacts = { public = true }\n'
SERVER = {"type": "workload", "id": str(LLAMA)}
INFER = {"name": "infer"}


def about(subject: str, name: str = "human", resource: Any = SERVER, **more: Any) -> dict[str, Any]:
    return {"subject": {"type": name, "id": subject}, "action": INFER, "resource": resource, **more}


Start = Callable[..., World]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A zone with these points."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def begin(*points: SpiffeId, **more: Any) -> World:
            workloads = workload(LLAMA), workload(BOT, owner="bob", kind=Kind.AGENT)
            shot = snapshot(catalogue_toml=CATALOGUE, p_cedar=POLICIES, workloads=workloads, humans=(BOB,), **more)
            return stack.enter_context(world(tmp_path, shot, points))

        yield begin


def test_who_is_no_point_asks_about_itself_alone(start: Start) -> None:
    here = start()
    assert here.decision(about("ada")) is True
    assert here.decision(about(str(ME), "workload")) is True
    for other in (about("bob"), about("bot", "workload"), about(str(BOT), "workload"), about("x", "user")):
        reply = here.post(EVALUATION, other)
        assert (reply.status, "enforcement point" in reply.body["error"]) == (403, True), other
    for said in (record for record in here.records() if record["outcome"] == "refused"):
        assert (said["rule"], said["person"]) == ("remit:not-a-point", "p-1")
    assert len(here.records()) == 6


def test_in_a_batch_it_is_a_denial_of_its_own(start: Start) -> None:
    here = start()
    said = here.post(EVALUATIONS, {"evaluations": [about("ada"), about("bob")]})
    assert [one["decision"] for one in said.body["evaluations"]] == [True, False]


def test_who_is_no_point_searches_for_itself_alone(start: Start) -> None:
    here = start()
    assert here.post("/access/v1/search/subject", about("ada")).status == 403
    assert here.post("/access/v1/search/resource", about("bob", resource={"type": "workload"})).status == 403
    mine = here.post("/access/v1/search/resource", about("ada", resource={"type": "workload"}))
    assert [one["id"] for one in mine.body["results"]] == [str(LLAMA)]


def test_a_point_asks_about_others_and_both_are_on_record(start: Start) -> None:
    here = start(ME)
    assert here.decision(about("bot", "workload")) is True
    assert here.decision(about("bob")) is False
    allowed, refused = here.records()
    assert (allowed["workload"], allowed["proof"], allowed["facts"]["point"]) == (str(BOT), "vouched", "p-1")
    assert (refused["workload"], refused["person"], refused["facts"]["point"]) == (None, "p-2", "p-1")


def test_nobody_is_refused_and_never_an_error(start: Start) -> None:
    here = start(ME)
    for nobody in ("carol", "spiffe://other.example/user/ada", "spiffe://maple.local/agent/none"):
        assert here.decision(about(nobody)) is False
    assert here.decision(about("none", "workload")) is False
    assert here.decision(about("ada", resource={"type": "workload", "id": "none"})) is False
    assert {one["outcome"] for one in here.records()} == {"refused"}


def test_a_person_s_name_is_no_application_s_user(start: Start) -> None:
    """A point's own user `ada` is nobody here: the point acts, and may what policies let the point."""
    here = start(ME)
    assert here.decision(about("ada", "user")) is False
    assert here.records()[0]["action"] == "access"


def test_what_others_than_points_say_of_a_resource_counts_nowhere(start: Start) -> None:
    view = {"subject": {"type": "human", "id": "ada"}, "action": {"name": "view"},
            "resource": {"type": "record", "id": "2", "properties": {"public": True}}}  # fmt: skip
    listed = {**view, "resource": {"type": "record", "id": "1"}}
    here = start()
    assert (here.decision(view), here.decision(listed)) == (False, True)


def test_what_a_point_says_of_a_resource_counts(start: Start) -> None:
    view = {"subject": {"type": "user", "id": "x"}, "action": {"name": "view"},
            "resource": {"type": "record", "id": "2", "properties": {"public": True}}}  # fmt: skip
    assert start(ME).decision(view) is True


def live(made: Task, **changed: Any) -> Task:
    return replace(made, started=time.time() - 5, expires=time.time() + 600, **changed)


def test_a_point_names_the_task_and_others_can_t(start: Start, tmp_path: Path) -> None:
    tasks = (live(task("infer", human="ada")), live(task("embed", human="ada", named="t2")))
    here = start(ME, tasks=tasks)
    assert here.decision(about("ada", context={"task": "t1"})) is True
    for outside in ("t2", "none"):
        assert here.decision(about("ada", context={"task": outside})) is False
    assert here.decision(about("bob", context={"task": "t1"})) is False
    assert [one["task"] for one in here.records()] == ["t1", "t2", "none", "t1"]


def test_a_task_that_ended_covers_nothing(start: Start) -> None:
    here = start(ME, tasks=(live(task("infer", human="ada")),))
    here.put(tasks=(live(task("infer", human="ada", ended=time.time())),))
    assert here.decision(about("ada", context={"task": "t1"})) is False


def test_who_is_no_point_names_no_task_but_that_of_its_token(start: Start) -> None:
    from remit.tasks.token import PREFIX, digest

    token = PREFIX + "a" * 43
    here = start(
        tasks=(live(task("embed", human="ada"), token_sha256=digest(token)), live(task("infer", named="t2")))
    )
    assert here.post(EVALUATION, about("ada", context={"task": "t2"})).status == 403
    shown = {"authorization": f"Bearer {token}"}
    assert here.decision(about("ada"), **shown) is False
    assert here.decision(about("ada", context={"task": "t1"}), **shown) is False
    assert here.post(EVALUATION, about("ada", context={"task": "t2"}), **shown).status == 403
    assert here.post(EVALUATION, about("ada"), authorization=f"Bearer {PREFIX}{'b' * 43}").status == 401


def test_a_point_within_a_task_is_none(start: Start) -> None:
    """A task only narrows: who shows one speaks for itself."""
    from remit.tasks.token import PREFIX, digest

    token = PREFIX + "a" * 43
    here = start(ME, tasks=(live(task("infer", human="ada"), token_sha256=digest(token)),))
    assert here.post(EVALUATION, about("bob"), authorization=f"Bearer {token}").status == 403


def test_a_workload_that_is_registered_may_be_no_point_of_another_name(start: Start) -> None:
    here = start(sid("agent", "bot"))
    assert here.post(EVALUATION, about("bob")).status == 403


def test_whose_connection_others_may_hold_is_no_point(start: Start) -> None:
    here = start(ME)
    known = by_svid(ME, Proof.UNIX, None, here.zone.engine)
    assert [here.decisions.is_point(replace(known, exhaustive=whole)) for whole in (True, False)] == [True, False]


def test_who_is_no_point_searches_for_no_subject_not_even_itself(start: Start) -> None:
    here = start()
    here.put(humans=here.zone.snapshot.humans[:1])
    assert here.post("/access/v1/search/subject", about("ada")).status == 403


def test_a_task_that_ends_while_its_decision_is_written_allows_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = start(ME, tasks=(live(task("infer", human="ada")),))
    record = here.zone.audit.record

    async def slow(entry: Any, of: bytes) -> Any:
        receipt = await record(entry, of)
        here.zone.put(replace(here.zone.snapshot, epoch=2, tasks=()))
        return receipt

    monkeypatch.setattr(here.zone.audit, "record", slow)
    said = here.post(EVALUATION, about("ada", context={"task": "t1"})).body
    assert (said["decision"], "just ended" in said["context"]["reason_user"]["en"]) == (False, True)


def test_a_model_that_changed_has_lost_its_identity_here_too(start: Start, tmp_path: Path) -> None:
    weights = tmp_path / "m.gguf"
    weights.write_bytes(b"GGUF")
    here = start()
    bound = replace(server(weights, "smol"), spiffe_id=LLAMA)
    here.put(workloads=(bound, *here.zone.snapshot.workloads[1:]))
    asked = about("ada", context={"model": "smol"})
    assert here.decision(asked) is True
    weights.write_bytes(b"GGUF!")
    assert here.decision(asked) is False
    assert here.records()[-1]["rule"] == "remit:model-changed"


def test_policies_that_are_edited_while_a_decision_is_written_count_for_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = start(ME)
    record, none = here.zone.audit.record, files(p_cedar=POLICIES.replace("principal.owner ==", "principal.owner !="))

    async def slow(entry: Any, of: bytes) -> Any:
        receipt = await record(entry, of)
        here.zone.put(replace(here.zone.snapshot, epoch=here.zone.snapshot.epoch + 1, **none))
        return receipt

    monkeypatch.setattr(here.zone.audit, "record", slow)
    assert here.decision(about("ada")) is False
