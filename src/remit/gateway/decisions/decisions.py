"""What the zone of decisions knows beside its Snapshot: whose word about others is taken, what flowed in tasks."""

import asyncio
from typing import Final

from remit.flow import Flow, Origin
from remit.gateway.decisions.flows import Flows
from remit.gateway.decisions.words import access_names
from remit.gateway.zone import Zone
from remit.identity import Caller, SpiffeId
from remit.secret import Secret
from remit.tasks import Task

ASIDE: Final = 64 * 1024  # characters of a text that is taken in beside the event loop


class Decisions:
    """One of it for all doors of the zone. Of the worker's event loop alone."""

    def __init__(self, zone: Zone, points: frozenset[SpiffeId]) -> None:
        self.zone, self.points = zone, points
        self.flows = Flows(zone.clock())
        self._hearing = asyncio.Lock()
        self._names: tuple[str, tuple[str, ...]] = ("", ())

    def is_point(self, caller: Caller) -> bool:
        """Whether this is an enforcement point whose word about others is taken, known beyond doubt."""
        return caller.spiffe_id in self.points and caller.exhaustive and caller.task is None

    def task(self, named: str | None) -> Task | None:
        """The live task of that id."""
        now = self.zone.clock()
        return next((one for one in self.zone.snapshot.tasks if one.id == named and one.live(now)), None)

    def flow(self, task: Task) -> Flow:
        """What flowed through it. Its person declared it: what a workload says of a part that it cut is no such."""
        flow = self.flows.of(task)
        declared = self._declared(task)
        if declared.of_a_person and declared.parent is None:
            flow.transcript.hear(declared.purpose, Origin.HUMAN)  # what was heard before costs its digest
        return flow

    async def hear(self, task: Task, text: str, origin: Origin) -> None:
        """A long text is taken in by a thread: a megabyte takes a tenth of a second. One at a time."""
        transcript = self.flow(task).transcript
        async with self._hearing:
            if len(text) <= ASIDE:
                transcript.hear(text, origin)
            else:
                await asyncio.to_thread(transcript.hear, text, origin)
        self.flows.grown(task.id)

    async def said(self, task: str, text: Secret) -> None:
        """Words of the task's person, over a channel that proves it: control has seen to that."""
        if (found := self.task(task)) is not None:
            await self.hear(found, text.reveal(), Origin.HUMAN)

    def access_names(self) -> tuple[str, ...]:
        """The actions of points that the policies in force name."""
        policies = self.zone.engine.policies
        if self._names[0] != policies.digest:
            self._names = (policies.digest, access_names(policies))
        return self._names[1]

    def _declared(self, task: Task) -> Task:
        """The task that this one was cut from, by however many hands."""
        tasks = {one.id: one for one in self.zone.snapshot.tasks} if task.parent else {}
        while (above := tasks.get(task.parent or "")) is not None:
            task = above
        return task

    def sweep(self) -> None:
        """Forget the tasks that have ended."""
        now = self.zone.clock()
        self.flows.keep_only(one.id for one in self.zone.snapshot.tasks if one.live(now))
