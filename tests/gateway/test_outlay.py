"""What one call takes of a budget and uses of it, on a clock that only the test's waiting moves."""

import asyncio
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from remit.errors import RemitError, StateError
from remit.gateway.dialects import DIALECTS, Cleanable
from remit.gateway.outlay import BYTES_AHEAD, SECONDS_AHEAD, TOKENS_AHEAD, Outlay, paid
from remit.gateway.routes import match, profile
from remit.policy import RefusedError
from remit.tasks import Budget, Spent
from remit.tasks.budget import NOTHING


class Instant(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while something is to do, and goes to the next timer when nothing is."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        timers = [one.when() for one in self._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        if not self._ready and timers:  # type: ignore[attr-defined]
            self.now = max(self.now, min(timers))
        super()._run_once()  # type: ignore[misc]


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Instant) as runner:
        runner.run(work)


@dataclass
class Kept:
    """What is left of one task's budget, and what a call says of it."""

    left: Spent
    held: Spent = NOTHING
    spent: Spent = NOTHING
    asked: list[Spent] = field(default_factory=list)
    gone: bool = False

    async def reserve(self, task: str, wanted: Spent) -> Spent:
        self.asked.append(wanted)
        await asyncio.sleep(0)
        if self.gone:
            raise StateError("the control process is gone")
        given = wanted.least(self.left)
        self.left, self.held = self.left - given, self.held + given
        return given

    def settle(self, task: str, used: Spent, back: Spent) -> None:
        self.held, self.left, self.spent = self.held - used - back, self.left + back, self.spent + used


class World:
    """A call of a task with this budget, which took this."""

    def __init__(self, budget: Budget, taken: Spent, *, prompt: int = 0, size: int = 0, streams: bool = True) -> None:
        self.kept = Kept(budget.most - taken, taken)
        self.cuts: list[RemitError] = []
        self.outlay = Outlay(
            self.kept,
            "t-1",
            budget,
            taken,
            prompt=prompt,
            size=size,
            streams=streams,
            refusal=lambda kind: RefusedError(kind, decision_id="d", rule="remit:budget-spent"),
            cut=self.cuts.append,
        )

    def end(self) -> Spent:
        """What it used."""
        self.outlay.end()
        assert self.kept.held == NOTHING
        return self.kept.spent


def chunks(*texts: str, usage: dict[str, int] | None = None) -> list[Cleanable]:
    """Events of an OpenAI stream."""
    reader = DIALECTS["openai"].events(match(profile("openai"), "POST", "/v1/chat/completions"))
    found: list[Cleanable] = []
    for text in texts:
        found += reader.feed(b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode())
    if usage is not None:
        told = ",".join(f'"{name}":{count}' for name, count in usage.items())
        found += reader.feed(b'data: {"choices":[],"usage":{%b}}\n\n' % told.encode())
    return found


def test_a_call_that_was_never_sent_gives_all_back() -> None:
    async def go() -> None:
        world = World(Budget(calls=5, tokens=500), Spent(calls=1, tokens=400), prompt=40)
        assert world.end() == NOTHING
        assert world.kept.left.calls == 5

    run(go())


def test_what_a_server_says_is_used_and_the_rest_goes_back() -> None:
    async def go() -> None:
        world = World(Budget(calls=5, tokens=500), Spent(calls=1, tokens=400), prompt=40)
        world.outlay.sends()
        assert world.outlay.came(900) is None
        world.outlay.tells({"usage": {"prompt_tokens": 9, "completion_tokens": 30}})
        await world.outlay.done()
        assert world.end() == Spent(calls=1, tokens=39)
        world.outlay.end()  # once
        assert world.kept.spent.calls == 1

    run(go())


@pytest.mark.parametrize("hung_up", [True, False])
def test_where_a_server_says_nothing_or_not_all_the_most_it_can_be_is_used(hung_up: bool) -> None:
    async def go() -> None:
        world = World(Budget(tokens=500), Spent(calls=1, tokens=100), prompt=40)
        world.outlay.sends()
        assert world.outlay.came(90, chunks("a", "b", "c")) is None
        if hung_up:
            said = b'"usage":{"input_tokens":12,"output_tokens":1}'  # as Anthropic's first event has it
            reader = DIALECTS["anthropic"].events(match(profile("vllm"), "POST", "/v1/messages"))
            world.outlay.came(90, reader.feed(b'data: {"type":"message_start","message":{%b}}\n\n' % said))
        else:
            await world.outlay.done()
        assert world.end().tokens == (15 if hung_up else 43)

    run(go())


@pytest.mark.parametrize(
    ("streams", "status", "used"),
    [(False, None, 100), (True, None, 40), (False, 200, 100), (True, 200, 40), (False, 404, 0), (True, 500, 0)],
)
def test_an_answer_that_was_to_come_whole_may_have_been_as_long_as_it_may_be(
    streams: bool, status: int | None, used: int
) -> None:
    async def go() -> None:
        world = World(Budget(tokens=500), Spent(calls=1, tokens=100), prompt=40, streams=streams)
        world.outlay.sends()
        if status is not None:
            world.outlay.answered(status)
        assert world.end().tokens == used

    run(go())


def test_a_whole_answer_to_who_asked_for_a_stream_is_one() -> None:
    async def go() -> None:
        world = World(Budget(tokens=500), Spent(calls=1, tokens=100), prompt=40)
        world.outlay.sends()
        world.outlay.answered(200)
        world.outlay.tells({"choices": []})
        await world.outlay.done()
        assert world.end().tokens == 100

    run(go())


@pytest.mark.parametrize("said", [30_000, 2**64 - 1])
def test_a_server_that_used_more_than_was_taken_is_paid_as_far_as_there_is(said: int) -> None:
    async def go() -> None:
        world = World(Budget(tokens=500), Spent(calls=1, tokens=100), prompt=40)
        world.outlay.sends()
        world.outlay.tells({"usage": {"prompt_tokens": 300, "completion_tokens": said}})
        await world.outlay.done()
        assert world.end().tokens == 500

    run(go())


def test_an_answer_that_goes_on_beyond_its_maximum_is_stopped_where_the_budget_ends() -> None:
    async def go() -> None:
        world = World(Budget(tokens=100 + TOKENS_AHEAD), Spent(calls=1, tokens=100), prompt=98)
        world.outlay.sends()
        assert world.outlay.came(10, chunks("a", "b")) is None
        room = world.outlay.came(10, chunks("c"))
        assert room is not None
        await room
        for _ in range(TOKENS_AHEAD - 1):
            assert world.outlay.came(1, chunks("d")) is None
        room = world.outlay.came(10, chunks("e"))
        assert room is not None
        with pytest.raises(RefusedError, match="tokens"):
            await room
        assert world.end().tokens == 100 + TOKENS_AHEAD

    run(go())


def test_bytes_are_taken_before_they_are_passed_on() -> None:
    async def go() -> None:
        most = BYTES_AHEAD + 1_000
        world = World(Budget(bytes=most), Spent(calls=1, bytes=500), size=100)
        world.outlay.sends()
        out: list[int] = []

        def pass_on(events: Any) -> Awaitable[None] | None:
            out.append(len(events))
            return None

        assert paid(world.outlay, 400, chunks("a"), pass_on) is None
        assert out == [1]
        room = paid(world.outlay, 1, chunks("a", "b"), pass_on)
        assert room is not None
        assert out == [1]
        await room
        assert out == [1, 2]
        room = paid(world.outlay, most, chunks("a"), pass_on)
        assert room is not None
        with pytest.raises(RefusedError, match="bytes"):
            await room
        assert out == [1, 2]
        assert world.end().bytes == most

    run(go())


@pytest.mark.parametrize(("lasts", "used"), [(0.0, 1), (0.1, 1), (1.0, 1), (1.5, 2), (11.2, 12), (33.0, 33)])
def test_a_call_asks_for_more_time_before_its_own_is_up(lasts: float, used: int) -> None:
    async def go() -> None:
        world = World(Budget(seconds=60), Spent(calls=1, seconds=SECONDS_AHEAD))
        world.outlay.sends()
        await asyncio.sleep(lasts)
        assert world.cuts == []
        assert world.end() == Spent(calls=1, seconds=used)
        await asyncio.sleep(100)
        assert world.cuts == []

    run(go())


@pytest.mark.parametrize("gone", [True, False])
def test_a_call_is_cut_when_its_time_is_up_and_not_later(gone: bool) -> None:
    async def go() -> None:
        world = World(Budget(seconds=13), Spent(calls=1, seconds=SECONDS_AHEAD))
        world.kept.gone = gone
        world.outlay.sends()
        up = SECONDS_AHEAD if gone else 13
        await asyncio.sleep(up - 0.01)
        assert world.cuts == []
        await asyncio.sleep(0.02)
        assert [str(cut) for cut in world.cuts] == ["seconds"]
        assert world.end() == Spent(calls=1, seconds=up)

    run(go())


def test_what_comes_after_the_end_goes_back() -> None:
    async def go() -> None:
        world = World(Budget(seconds=60), Spent(calls=1, seconds=2))
        world.outlay.sends()
        await asyncio.sleep(1.0)  # it asks for more just now
        while not world.kept.asked:
            await asyncio.sleep(0)
        world.outlay.end()
        await asyncio.sleep(1)
        assert (world.kept.held, world.kept.left.seconds) == (NOTHING, 59)

    run(go())


def test_a_last_event_that_only_tells_usage_is_for_those_who_asked() -> None:
    async def go() -> None:
        events = chunks("a", usage={"prompt_tokens": 3, "completion_tokens": 1})
        world = World(Budget(tokens=60), Spent(calls=1, tokens=60))
        assert world.outlay.shown(events) == events
        world.outlay.hides_usage = True
        assert world.outlay.shown(events) == events[:-1]
        world.outlay.sends()
        world.outlay.came(5, events)
        await world.outlay.done()
        assert world.end().tokens == 4

    run(go())
