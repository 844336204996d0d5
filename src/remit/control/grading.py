"""The grade as it changes: each change on record, with the facts behind it, before the gateways decide by it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from remit.control.condition import Condition, why
from remit.control.fencing import Fencing
from remit.control.realm import Realm
from remit.errors import AuditError
from remit.policy import Snapshot

MIND_SECONDS: Final = 2.0


class Gateways(Protocol):
    """Decide by the Snapshots that they are sent; `deliver` tells whether all have it."""

    def push(self, snapshot: Snapshot) -> None: ...

    async def deliver(self, snapshot: Snapshot) -> bool: ...


class Grading:
    """Keeps fence and grade true to what is guarded. `condition.on_record` is the grade that the log has last."""

    def __init__(
        self,
        realm: Realm,
        condition: Condition,
        fencing: Fencing,
        workers: Gateways,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._realm, self._condition, self.fencing = realm, condition, fencing
        self._workers, self._say = workers, say
        self._turn = asyncio.Lock()  # what is half closed is nobody's grade
        self._words: dict[str, str] = condition.words(())
        self._facts: tuple[str, ...] = ()

    async def deliver(self, snapshot: Snapshot) -> bool:
        """Put a change of what is guarded in force; whether every gateway has it.

        What is new is closed first and then guarded; what is let go is out of force first and then opened.
        """
        del snapshot  # while this waits others are sent: the newest counts
        async with self._turn:
            if await self.fencing.missing():
                await self.fencing.settle()
                with suppress(AuditError):  # it is raised below: what is in the Snapshot does not wait for it
                    await self.settle()
            done = await self._workers.deliver(self._realm.snapshot())
            await self.fencing.settle()
            changed = await self.settle()
            return done if changed is None else await self._workers.deliver(changed)

    async def mind(self) -> None:
        """Never ends: look at the fence and at the facts, put back what is gone, record what changed."""
        while True:
            async with self._turn:
                await self._look()
            await asyncio.sleep(MIND_SECONDS)

    async def _look(self) -> None:
        if gone := await self.fencing.look():
            await self._lost(gone)
        await self.fencing.settle()
        with suppress(AuditError):
            await self._settled()
        await asyncio.to_thread(self._condition.look_at_machine)
        if (facts := self._realm.facts()) != self._facts:
            self._facts = facts
            self._workers.push(self._realm.snapshot())

    async def _lost(self, gone: list[str]) -> None:
        """In force at once and then on record, where the log takes it: `status` tells of one that takes nothing."""
        self._workers.push(self._realm.snapshot())
        with suppress(AuditError):
            await self._realm.act("fence.lost", "control", {"ways": gone})
            await self._settled()

    async def settle(self) -> Snapshot | None:
        """Record the grade if it is another; then the Snapshot that carries it."""
        found, words = self._realm.standing, self._condition.words(self._realm.workloads.values())
        if found.letter == self._condition.on_record:
            return None
        was = self._condition.on_record
        facts = [{"fact": name, "is": word} for name, word in words.items() if word != self._words.get(name)]
        await self._realm.act("grade.changed", "control", {"from": was, "to": found.letter, "facts": facts})
        self._condition.on_record, self._words = found.letter, words
        self._say({"event": "grade", "from": was, "to": found.letter, "why": why(found)})
        return self._realm.snapshot()

    async def _settled(self) -> None:
        if (changed := await self.settle()) is not None:
            await self._workers.deliver(changed)
