"""Approvals are spent once, of exactly what was asked, under exactly those policies; no error is ever one."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from remit.control.realm import PoliciesInForce
from remit.errors import AuditError, NotFoundError, ProtocolError, StateError
from remit.tasks.approval_request import ApprovalError, Extent, RequestState
from tests.control.approval_world import MATTER, NOW, Asking, run

OTHER = hashlib.sha256(b"another").hexdigest()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Asking]:
    world = Asking(tmp_path)
    yield world
    world.store.close()


def test_what_is_agreed_to_is_spent_by_the_call_and_is_good_for_no_second_one(world: Asking) -> None:
    async def body() -> None:
        first = await world.asked()
        await world.yes(first)
        answer = (await world.ask())["approval"]
        assert (answer["id"], answer["by"], answer["requester"], answer["level"]) == (first, "bob", "ada", "owner")
        assert world.recorded() == ["approval.asked", "approval.approved", "approval.spent"]
        assert (await world.asked()) != first
        assert [one.state for one in world.store.approvals()] == [RequestState.SPENT, RequestState.PENDING]

    run(body)


def test_of_many_calls_at_once_one_goes_on_by_one_approval(world: Asking) -> None:
    """Two gateways, a hundred equal calls, and two people who say yes at once."""

    async def body() -> None:
        calls = [asyncio.create_task(world.ask(wait=1.5)) for _ in range(50)]
        await asyncio.sleep(0.05)
        [request] = world.approvals.listed()
        assert request.calls == 50
        said = await asyncio.gather(world.yes(request.id), world.yes(request.id), return_exceptions=True)
        assert [type(one) for one in said if one is not None] == [ApprovalError]
        answers = [*await asyncio.gather(*calls), *await asyncio.gather(*(world.ask() for _ in range(50)))]
        assert sum("approval" in one for one in answers) == 1

    run(body)


def test_a_batch_of_equal_calls_is_one_request_and_one_answer_for_those_that_were_seen(world: Asking) -> None:
    async def body() -> None:
        calls = [asyncio.create_task(world.ask(wait=1.0)) for _ in range(3)]
        await asyncio.sleep(0.05)
        [request] = world.approvals.listed()
        calls += [asyncio.create_task(world.ask(wait=1.0)) for _ in range(2)]
        await asyncio.sleep(0.05)
        await world.yes(request.id, extent=Extent.WAITING, calls=3)  # three were on their screen
        answers = await asyncio.gather(*calls)
        assert sum("approval" in one for one in answers) == 3
        assert {one["pending"] for one in answers if "pending" in one} != {request.id}

    run(body)


@pytest.mark.parametrize(
    "changed",
    [{"binding": OTHER}, {"policy_set": "sha256:another"}],
    ids=["other arguments", "other policies"],
)
def test_an_edit_after_the_yes_has_none(world: Asking, changed: dict[str, str]) -> None:
    async def body() -> None:
        first = await world.asked()
        await world.yes(first)
        answer = await world.ask(**changed)
        assert "approval" not in answer
        assert answer.get("pending") != first

    run(body)


def test_policies_that_change_after_the_yes_end_it(world: Asking) -> None:
    async def body() -> None:
        first = await world.asked()
        await world.yes(first)
        await world.realm.put_policies(PoliciesInForce(world.realm.policies.files, "sha256:new"))
        assert (await world.ask())["rule"] == "over"
        assert "pending" in await world.ask(policy_set="sha256:new")
        await world.approvals.look()
        assert world.approvals.named(first).state is RequestState.WITHDRAWN

    run(body)


def test_policies_that_change_while_a_call_waits_end_the_request(world: Asking) -> None:
    async def body() -> None:
        call, request = await world.waiting()
        await world.realm.put_policies(PoliciesInForce(world.realm.policies.files, "sha256:new"))
        with pytest.raises(ApprovalError, match="policies are others"):
            await world.yes(request.id)
        await world.approvals.look()
        assert (await call)["rule"] == "over"

    run(body)


def test_a_no_is_told_apart_from_nobody_s_answer(world: Asking) -> None:
    async def body() -> None:
        call, request = await world.waiting()
        await world.approvals.deny(request.id, world.bob, "not today")
        assert (await call)["rule"] == "denied"
        assert (await world.ask())["rule"] == "denied", "the same is not asked again"
        silent, request = await world.waiting(binding=OTHER)
        world.later(900)
        await world.approvals.look()
        assert (await silent)["rule"] == "timed-out"
        assert "pending" in await world.ask(), "after a while it may be"
        assert [what for what in world.recorded() if what in {"approval.denied", "approval.expired"}] == [
            "approval.denied",
            "approval.expired",
        ]

    run(body)


def test_a_yes_can_be_taken_back_before_it_is_used(world: Asking) -> None:
    async def body() -> None:
        first = await world.asked()
        await world.yes(first)
        await world.approvals.deny(first, world.bob, "I misread it")
        assert (await world.ask())["rule"] == "denied"

    run(body)


def test_a_yes_that_nobody_comes_for_is_over_by_either_clock(world: Asking) -> None:
    async def body() -> None:
        for set_back in (0.0, 500.0):
            first = await world.asked()
            await world.yes(first)
            world.later(301)
            world.now -= set_back
            assert (await world.ask()).get("approval") is None
            assert (await world.asked()) != first
            await world.approvals.deny(world.approvals.listed()[0].id, world.bob, "")
            world.later(900)

    run(body)


def test_for_the_rest_of_the_task_exactly_this_goes_on_until_it_ends(world: Asking) -> None:
    async def body() -> None:
        world.task()
        first = await world.asked(task="t-1")
        await world.yes(first, extent=Extent.TASK)
        for _ in range(3):
            assert (await world.ask(task="t-1"))["approval"]["id"] == first
        assert "approval" not in await world.ask(task="t-1", binding=OTHER), "other arguments are another thing"
        await world.realm.tasking.end("t-1", "done")
        assert (await world.ask(task="t-1"))["rule"] == "over"

    run(body)


def test_a_task_that_ends_while_people_read_leaves_nothing_to_agree_to(world: Asking) -> None:
    async def body() -> None:
        world.task()
        call, request = await world.waiting(task="t-1")
        await world.realm.tasking.end("t-1", "done")
        with pytest.raises(ApprovalError, match="its task has ended"):
            await world.yes(request.id)
        await world.approvals.look()
        assert (await call)["rule"] == "over"

    run(body)


def test_who_goes_away_withdraws_what_nobody_else_waits_for(world: Asking) -> None:
    async def body() -> None:
        call, request = await world.waiting()
        second, _ = await world.waiting()
        call.cancel()
        await asyncio.sleep(0)
        assert world.approvals.named(request.id).state is RequestState.PENDING
        second.cancel()
        await asyncio.sleep(0.01)
        assert world.approvals.named(request.id).state is RequestState.WITHDRAWN
        with pytest.raises(ApprovalError, match="withdrawn already"):
            await world.yes(request.id)

    run(body)


def test_who_goes_away_while_the_yes_is_written_leaves_none_behind(world: Asking) -> None:
    async def body() -> None:
        call, request = await world.waiting()
        world.slow = 10
        saying = asyncio.create_task(world.yes(request.id))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(ApprovalError):
            await saying
        assert "approval" not in await world.ask()

    run(body)


def test_with_the_store_down_nothing_is_approved_and_nothing_goes_on(world: Asking) -> None:
    async def body() -> None:
        first, second = await world.asked(), await world.asked(binding=OTHER)
        await world.yes(first)
        with sqlite3.connect(world.store._path) as other:
            other.execute("alter table approvals rename to gone")
        with pytest.raises(StateError):
            await world.ask()  # approved, and can't be spent
        with pytest.raises(StateError):
            await world.yes(second)
        with pytest.raises(StateError):
            await world.ask(binding=hashlib.sha256(b"third").hexdigest())
        with sqlite3.connect(world.store._path) as other:
            other.execute("alter table gone rename to approvals")
        assert "approval" not in await world.ask(), "what could not be kept as spent is spent"
        assert "approval" not in await world.ask(binding=OTHER), "what could not be kept as approved is not"

    run(body)


def test_with_the_log_down_nothing_is_approved_and_nothing_goes_on(world: Asking) -> None:
    async def body() -> None:
        first, second = await world.asked(), await world.asked(binding=OTHER)
        await world.yes(first)
        world.log_fails = True
        for refused in (world.ask(), world.yes(second), world.ask(binding="00" * 32)):
            with pytest.raises(AuditError):
                await refused
        world.log_fails = False
        assert "approval" not in await world.ask()
        assert "approval" not in await world.ask(binding=OTHER)

    run(body)


def test_a_no_is_in_force_before_it_is_written_and_written_when_that_goes(world: Asking) -> None:
    async def body() -> None:
        first = await world.asked()
        world.log_fails = True
        with pytest.raises(AuditError):
            await world.approvals.deny(first, world.bob, "")
        with pytest.raises(ApprovalError, match="denied already"):
            await world.yes(first)
        world.log_fails = False
        await world.approvals.look()
        assert world.recorded()[-1] == "approval.denied"

    run(body)


def test_none_survives_control_nor_comes_back_with_a_copy_of_its_state(world: Asking) -> None:
    async def body() -> None:
        world.task()
        for wanted, extent in ((MATTER.binding, Extent.ONCE), (OTHER, Extent.TASK)):
            await world.yes(await world.asked(binding=wanted, task="t-1"), extent=extent)
        world.approvals = world.fresh()
        assert "approval" not in await world.ask(task="t-1")
        assert "approval" not in await world.ask(task="t-1", binding=OTHER)
        await world.approvals.look()
        assert world.recorded().count("approval.withdrawn") == 2

    run(body)


def test_what_is_kept_and_on_record_has_no_arguments(world: Asking) -> None:
    async def body() -> None:
        word = "Wintergarten"
        await world.yes(await world.asked(arguments=f'{{"to": "{word}"}}', target=f"/{word}"))
        kept = Path(world.store._path).read_bytes() + Path(f"{world.store._path}-wal").read_bytes()
        assert word.encode() not in kept
        assert word not in str(world.acts) + str(world.events) + str(world.told)
        assert "ada" not in str(world.acts[2:]), "people are pseudonyms in the log"

    run(body)


def test_people_are_not_asked_without_end(tmp_path: Path) -> None:
    world = Asking(tmp_path, per_hour=10)

    async def body() -> None:
        for number in range(8):
            assert "pending" in await world.ask(binding=f"{number:064x}")
        assert (await world.ask(binding=f"{99:064x}"))["rule"] == "quiet", "eight of one caller wait already"
        assert "pending" in await world.ask(binding=f"{99:064x}", human="bob", workload="spiffe://maple.local/b")
        for one in world.approvals.listed():
            await world.approvals.deny(one.id, world.bob, "")
        assert "pending" in await world.ask(binding=f"{100:064x}")
        assert "pending" in await world.ask(binding=f"{101:064x}")
        assert (await world.ask(binding=f"{102:064x}"))["rule"] == "quiet", "ten within an hour"
        world.later(3600)
        assert "pending" in await world.ask(binding=f"{102:064x}")

    run(body)
    world.store.close()


def test_what_is_agreed_to_for_a_task_keeps_nobody_from_asking(world: Asking) -> None:
    async def body() -> None:
        world.task()
        for number in range(9):
            first = await world.asked(task="t-1", binding=f"{number:064x}")
            await world.yes(first, extent=Extent.TASK)
        assert "approval" in await world.ask(task="t-1", binding=f"{0:064x}")

    run(body)


def test_what_is_agreed_to_again_and_again_belongs_in_a_profile(world: Asking) -> None:
    from remit.control.approval_limits import suggestion

    async def body() -> None:
        for number in range(4):
            request_id = await world.asked(binding=f"{number:064x}")
            told = suggestion(world.approvals.named(request_id), world.approvals.listed())
            assert ("let a profile of its tasks list" in told) == (number == 3), number
            await world.yes(request_id)

    run(body)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {**MATTER.to_dict(), "more": 1},
        {**MATTER.to_dict(), "needed": "nobody"},
        {**MATTER.to_dict(), "uids": ["0"]},
        {**MATTER.to_dict(), "arguments": "x" * (256 * 1024 + 1)},
        {**MATTER.to_dict(), "described": "x" * 20_000},
        {**MATTER.to_dict(), "human": None},
    ],
)
def test_what_no_sound_gateway_says_is_refused(world: Asking, row: dict[str, object]) -> None:
    from remit.policy.link import AskPeople

    with pytest.raises(ProtocolError):
        asyncio.run(world.approvals.answer(None, AskPeople(1, row)))


def test_what_is_not_there_can_t_be_answered(world: Asking) -> None:
    with pytest.raises(NotFoundError):
        asyncio.run(world.yes("ap-000000000000"))


def test_a_matter_is_shown_by_a_digest_of_all_that_is_shown() -> None:
    assert replace(MATTER, arguments="{}").digest != MATTER.digest
    assert replace(MATTER, binding=OTHER).digest != MATTER.digest
    assert replace(MATTER, wait=3.0).digest == MATTER.digest
    assert NOW == 1000.0
