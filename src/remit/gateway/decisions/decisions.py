"""What the zone of decisions knows beside its Snapshot: whose word about others is taken, what flowed in tasks."""

from remit.flow import Flow, Origin
from remit.gateway.decisions.flows import Flows
from remit.gateway.zone import Zone
from remit.identity import Caller, SpiffeId
from remit.secret import Secret
from remit.tasks import Task


class Decisions:
    """One of it for all doors of the zone. Of the worker's event loop alone."""

    def __init__(self, zone: Zone, points: frozenset[SpiffeId]) -> None:
        self.zone, self.points = zone, points
        self.flows = Flows(zone.clock())

    def is_point(self, caller: Caller) -> bool:
        """Whether this is an enforcement point whose word about others is taken, known beyond doubt."""
        return caller.spiffe_id in self.points and caller.exhaustive and caller.task is None

    def task(self, named: str | None) -> Task | None:
        """The live task of that id."""
        now = self.zone.clock()
        return next((one for one in self.zone.snapshot.tasks if one.id == named and one.live(now)), None)

    def flow(self, task: Task) -> Flow:
        """What flowed through it: its purpose is what its person said of it."""
        flow = self.flows.of(task)
        if task.of_a_person:
            flow.transcript.hear(task.purpose, Origin.HUMAN)  # what was heard before costs its digest
        return flow

    def said(self, task: str, text: Secret) -> None:
        """Words of the task's person, over a channel that proves it: control has seen to that."""
        if (found := self.task(task)) is not None:
            self.flow(found).heard(text.reveal(), Origin.HUMAN)
            self.flows.grown(task)

    def sweep(self) -> None:
        """Forget the tasks that have ended."""
        now = self.zone.clock()
        self.flows.keep_only(one.id for one in self.zone.snapshot.tasks if one.live(now))
