"""What the zone of decisions knows beside its Snapshot: whose word about others is taken, what flowed in tasks."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from remit.flow import ArgumentClass, Flow, Origin, classes
from remit.gateway.decisions.flows import Flows
from remit.gateway.decisions.words import access_names
from remit.gateway.zone import Zone
from remit.identity import Caller, SpiffeId
from remit.persons import Kind
from remit.secret import Secret
from remit.tasks import Task
from remit.tasks.task import WORKLOAD

MAX_SCHEMAS: Final = 512  # read ones kept, of a few hundred arguments at most
TURN: Final = 16 * 1024  # characters of entries that are taken in without a pause: 10 ms
ASIDE: Final = 64 * 1024  # characters of a text that is taken in beside the event loop


class Decisions:
    """One of it for all doors of the zone. Of the worker's event loop alone."""

    def __init__(self, zone: Zone, points: frozenset[SpiffeId]) -> None:
        self.zone, self.points = zone, points
        self.flows = Flows(zone.clock())
        self._hearing = asyncio.Lock()
        self._schemas: OrderedDict[bytes, Mapping[str, ArgumentClass]] = OrderedDict()
        self._words: dict[str, list[Secret]] = {}  # that people said, by task; bounded by control
        self._names: tuple[str, tuple[str, ...]] = ("", ())

    def is_point(self, caller: Caller) -> bool:
        """Whether this is an enforcement point whose word about others is taken: active, and known beyond doubt.

        Not what was launched for a task, whoever's it is: an agent decides nothing about its own work.
        """
        if caller.spiffe_id not in self.points or not caller.exhaustive or caller.task is not None:
            return False
        if caller.process is not None and caller.process.task is not None:
            return False
        return self.zone.engine.idle(caller.spiffe_id, caller) is None

    def task(self, named: str | None) -> Task | None:
        """The live task of that id."""
        task = self.zone.engine.task(named)
        return task if task is not None and task.live(self.zone.clock()) else None

    def flow(self, task: Task) -> Flow:
        """What flowed through it, and what its person said: to it, or to what it was cut from.

        Its purpose, too, where the person declared it: what a workload says of a part that it cut is no such, and a
        uid alone is no person. What was done in it was done in all that is cut from the same first task.
        """
        line = self._line(task)
        first, flow = self.flows.of(line[-1]), self.flows.of(task)
        flow.done = first.done
        if line[-1].parent is None and line[-1].proof not in {WORKLOAD, Kind.UID}:
            flow.transcript.hear(line[-1].purpose, Origin.HUMAN)  # what was heard before costs its digest
        for one in line:
            for text in self._words.get(one.id, ()):
                flow.transcript.hear(text.reveal(), Origin.HUMAN)
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

    async def listed(self, task: Task, entries: Iterable[str], origin: Origin) -> None:
        """Take in the entries of a source that names things; between some of them others have their turn."""
        flow, taken = self.flow(task), 0
        async with self._hearing:
            for entry in entries:
                if len(entry) > ASIDE:
                    await asyncio.to_thread(flow.listed, (entry,), origin)
                else:
                    flow.listed((entry,), origin)
                if (taken := taken + len(entry) + 1) > TURN:
                    taken = 0
                    await asyncio.sleep(0)
        self.flows.grown(task.id)

    async def said(self, task: str, text: Secret) -> None:
        """Words of the task's person, over a channel that proves it: control has seen to that."""
        if (found := self.task(task)) is not None:
            self._words.setdefault(task, []).append(text)
            await self.hear(found, text.reveal(), Origin.HUMAN)

    def classes(self, schema: Mapping[str, Any]) -> Mapping[str, ArgumentClass]:
        """Those of a tool's arguments by its JSON Schema; raises ProtocolError for one that is too much to read."""
        digest = hashlib.sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).digest()
        found = self._schemas.get(digest)
        if found is None:
            found = self._schemas[digest] = classes(schema)
            if len(self._schemas) > MAX_SCHEMAS:
                self._schemas.popitem(last=False)
        return found

    def access_names(self) -> tuple[str, ...]:
        """The actions of points that the policies in force name."""
        policies = self.zone.engine.policies
        if self._names[0] != policies.digest:
            self._names = (policies.digest, access_names(policies))
        return self._names[1]

    def _line(self, task: Task) -> list[Task]:
        """The task, and those that it was cut from, by however many hands."""
        tasks = {one.id: one for one in self.zone.snapshot.tasks} if task.parent else {}
        line = [task]
        while (above := tasks.get(line[-1].parent or "")) is not None:
            line.append(above)
        return line

    def sweep(self) -> None:
        """Forget the tasks that have ended."""
        now = self.zone.clock()
        live = {one.id for one in self.zone.snapshot.tasks if one.live(now)}
        self.flows.keep_only(live)
        for task in self._words.keys() - live:
            del self._words[task]
