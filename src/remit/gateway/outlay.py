"""What one call takes of its task's budget before it uses it, and what it used: counted while the answer comes."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from remit.errors import RemitError, StateError
from remit.gateway.dialects import Cleanable
from remit.gateway.usage import Usage
from remit.policy import RefusedError
from remit.tasks import Budget, Slice, Spent
from remit.tasks.budget import NOTHING

BUDGET_SPENT: Final = "remit:budget-spent"
BYTES_AHEAD: Final = 256 * 1024  # of an answer, taken before it comes: one read of the network is no more
SECONDS_AHEAD: Final = 10
TOKENS_AHEAD: Final = 256  # of an answer that goes on beyond the maximum that it was given
MARGIN_SECONDS: Final = 1.0  # before its time is up a call asks for more: control answers sooner


Pass = Callable[[Sequence[Cleanable]], Awaitable[None] | None]
"""Passes events on; what it returns is to be waited for before the next."""


class Bank(Protocol):
    """Whom the budget is taken from. `reserve` raises StateError where nobody can say what is left."""

    async def reserve(self, task: str, wanted: Spent) -> Spent: ...

    def settle(self, task: str, used: Spent, back: Spent) -> None: ...


class Outlay:
    """One call's, of a task with a budget. It uses nothing that it did not take first.

    `prompt`: the most tokens its prompt can have; `size`: the bytes of its request; `streams`: it asked for an
    answer in pieces. `cut` ends the call.
    """

    def __init__(
        self,
        bank: Bank,
        task: str,
        budget: Budget,
        given: Spent,
        *,
        prompt: int,
        size: int,
        streams: bool,
        refusal: Callable[[str], RefusedError],
        cut: Callable[[RemitError], None],
    ) -> None:
        self._bank, self._task, self._budget = bank, task, budget
        self._slice = Slice()
        self._slice.add(given)
        self._prompt, self._bytes, self._streams = prompt, size, streams
        self._longest = max(0, given.tokens - prompt)  # tokens that it may have been answered with
        self._refusal, self._cut = refusal, cut
        self._pieces = 0
        self._usage = Usage()
        self._sent = self._failed = self._whole = self._over = False
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self.hides_usage = False
        """The last event of the stream tells what was used, and the client did not ask for it."""
        if budget.seconds is not None:
            self._watch_time()

    def sends(self) -> None:
        """From now on it counts, whatever comes back."""
        self._sent = True

    def came(self, size: int, events: Sequence[Cleanable] = ()) -> Awaitable[None] | None:
        """So much of the answer came. What it returns is to be waited for before any of it is passed on.

        That raises RefusedError where the budget has no room for it.
        """
        self._bytes += size
        for event in events:
            self._pieces += len(event.slots)
            self._usage.hear(event.value)
        return None if self._short() is None else self._room()

    def shown(self, events: Sequence[Cleanable]) -> Sequence[Cleanable]:
        """Those that the client asked for: the gateway asks streams what they used, the client may not have."""
        return [event for event in events if not _only_usage(event)] if self.hides_usage else events

    def answered(self, status: int) -> None:
        """The head of the answer came: nothing was made for a request that the server refused."""
        self._failed = status >= 400

    def tells(self, value: Any) -> None:
        """A whole answer came, which may say what it used."""
        self._streams = False
        self._usage.hear(value)

    async def done(self) -> None:
        """The answer is whole: it used what it says, if it says so. Beyond what was taken, as much as there is."""
        self._whole = True
        if self._budget.tokens is not None and (more := self._tokens() - self._slice.held.tokens) > 0:
            await self._more(Spent(tokens=more))

    def end(self) -> None:
        """However it ended: what it used is spent, the rest is given back. Once."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._slice.take(self._used().least(self._slice.held))
        self._bank.settle(self._task, *self._slice.settle())

    def _used(self) -> Spent:
        if not self._sent:
            return NOTHING
        elapsed = self._loop.time() - self._started
        return Spent(calls=1, tokens=self._tokens(), bytes=self._bytes, seconds=max(1, math.ceil(elapsed)))

    def _tokens(self) -> int:
        """By the server's word, and where it says nothing the most it can be."""
        said = self._usage
        most = self._pieces if self._streams or self._failed else self._longest
        answer = said.answer if self._whole and said.answer else max(said.answer, most)
        return (said.prompt or (0 if self._failed else self._prompt)) + answer

    def _short(self) -> Spent | None:
        """What must be taken before the answer goes on; None: nothing."""
        held, limits = self._slice.held, self._budget
        tokens = self._prompt + self._pieces - held.tokens if limits.tokens is not None else 0
        size = self._bytes - held.bytes if limits.bytes is not None else 0
        if tokens <= 0 and size <= 0:
            return None
        return Spent(
            tokens=max(tokens, TOKENS_AHEAD) if tokens > 0 else 0, bytes=max(size, BYTES_AHEAD) if size > 0 else 0
        )

    async def _room(self) -> None:
        while (short := self._short()) is not None:
            given = await self._more(short)
            if short.lacks(given):
                raise self._refusal("tokens" if short.tokens and not given.tokens else "bytes")

    async def _more(self, wanted: Spent) -> Spent:
        """As much of it as there is; nothing where nobody can say."""
        try:
            given = await self._bank.reserve(self._task, wanted)
        except StateError:
            return NOTHING
        if self._over:
            self._bank.settle(self._task, NOTHING, given)
            return NOTHING
        self._slice.add(given)
        return given

    def _watch_time(self) -> None:
        """Ask for more time before what was taken is up."""
        up = self._started + self._slice.held.seconds
        self._timer = self._loop.call_at(up - MARGIN_SECONDS, self._ask_for_time)

    def _ask_for_time(self) -> None:
        self._asking = self._loop.create_task(self._more_time())

    async def _more_time(self) -> None:
        given = await self._more(Spent(seconds=SECONDS_AHEAD))
        if self._over:
            return
        if given.seconds:
            self._watch_time()
        else:
            up = self._started + self._slice.held.seconds
            self._timer = self._loop.call_at(up, self._cut, self._refusal("seconds"))


def paid(outlay: Outlay, size: int, events: Sequence[Cleanable], pass_on: Pass) -> Awaitable[None] | None:
    """Pass these events of a stream on, once there is room for them in the budget: `size` bytes of it."""
    room, shown = outlay.came(size, events), outlay.shown(events)
    return pass_on(shown) if room is None else _later(room, shown, pass_on)


async def _later(room: Awaitable[None], events: Sequence[Cleanable], pass_on: Pass) -> None:
    await room
    if (more := pass_on(events)) is not None:
        await more


def _only_usage(event: Cleanable) -> bool:
    """OpenAI's last event, of a stream that was asked to tell what it used: it has no choices."""
    value = event.value
    if event.slots or event.ends or type(value) is not dict:
        return False
    return value.get("choices") == [] and type(value.get("usage")) is dict
