"""The lives of workloads: enrolled, moved on, left; each on record before it is in force."""

from typing import Any

from remit.control.book import Book
from remit.control.tasking import Tasking
from remit.errors import UsageError
from remit.identity import SpiffeId
from remit.inventory import Human, LifeState, Workload
from remit.inventory.enrolment import enrolment_facts
from remit.inventory.lifecycle import (
    PARTICIPLES,
    STRAIGHT_TO_ACTIVE,
    Actor,
    Verb,
    moved,
    same_life,
    transition,
)


class Lives:
    """Acts on workloads in `book`; what a new state ends is ended through `tasking`."""

    def __init__(self, book: Book, tasking: Tasking) -> None:
        self._book, self._tasking = book, tasking

    async def enrol(self, workload: Workload) -> Workload:
        """Give a workload its identity: one that is known goes on with its life, a new one becomes active.

        It must have an owner that is known here; one without any is merely discovered, and is kept so.
        """
        async with self._book.one_act:
            if known := self._book.known_workloads.get(workload.spiffe_id):
                workload = same_life(workload, known)
            owner = self._book.humans.get(workload.owner)
            if owner is None and (workload.owner or workload.state is not LifeState.DISCOVERED):
                raise UsageError(f"`{workload.name}` has no owner that is known here", hint="name one: --owner NAME")
            person = owner.person if owner is not None else None
            await self._book.acts("workload.enrolled", str(workload.spiffe_id), person, enrolment_facts(workload))
            if workload.state is LifeState.DISCOVERED and owner is not None:
                for verb in STRAIGHT_TO_ACTIVE:
                    workload = await self.recorded(workload, verb, Actor.REMIT, owner, {}, owner)
            self._book.keep_workload(workload)
            return workload

    async def move(
        self,
        spiffe_id: SpiffeId,
        verb: Verb,
        actor: Actor,
        by: Human | None,
        proof: str,
        to: Human | None = None,
    ) -> Workload:
        """Move a workload on in its life; raises LifecycleError. What its new state ends, ends with it.

        `by` is who asked for it, None Remit itself; `to`, else `by`, owns it from then on if that was the verb.
        """
        async with self._book.one_act:
            before = self._book.known_workloads[spiffe_id]
            row = transition(before, verb, actor)
            after = await self.recorded(before, verb, actor, by, {"proof": proof}, to or by)
            self._book.replace_workload(after)
            if row.effect.ends:
                await self._tasking.end_all_on(spiffe_id, f"its workload was {PARTICIPLES[verb]}")
            return after

    async def leave(self, workload: Workload, why: str) -> None:
        """Take a workload out of force (its server is gone), also when the log doesn't take it; its row is kept."""
        async with self._book.one_act:
            self._book.workloads.pop(workload.spiffe_id, None)
            await self._book.acts("workload.left", str(workload.spiffe_id), None, {"why": why})

    async def recorded(
        self,
        workload: Workload,
        verb: Verb,
        actor: Actor,
        by: Human | None,
        facts: dict[str, Any],
        owner: Human | None,
    ) -> Workload:
        """The workload as it is after `verb`, which is on record; for an act that is under way."""
        after = moved(workload, verb, actor, now=self._book.clock(), owner=owner.name if owner is not None else "")
        facts = {"from": workload.state.value, "to": after.state.value, "by": actor.value, **facts}
        if owner is not None and owner != by:
            facts["owner"] = owner.person
        person = by.person if by is not None else None
        await self._book.acts(f"workload.{PARTICIPLES[verb]}", str(workload.spiffe_id), person, facts)
        return after
