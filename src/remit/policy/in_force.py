"""What one Snapshot puts in force, ready to be asked: its policies sliced, its entities as Cedar's handle."""

from remit.errors import PolicyError
from remit.identity import Caller, SpiffeId
from remit.inventory import Workload
from remit.policy.load import load
from remit.policy.otherwise import alike
from remit.policy.policy_set import PolicySet
from remit.policy.question import Question
from remit.policy.slicing import Slice, Slicer
from remit.policy.snapshot import Snapshot
from remit.policy.thing import Thing, ThingKind
from remit.policy.verdict import Decide, Verdict, ask
from remit.policy.world import World


class InForce:
    """Immutable but for its caches. What did not change is taken over from `after`, the one before.

    Raises PolicyError when the snapshot's policies don't load or aren't those that `policy_set` names.
    """

    def __init__(self, snapshot: Snapshot, after: "InForce | None" = None) -> None:
        self.snapshot = snapshot
        same = after if after is not None and after.snapshot.policy_files == snapshot.policy_files else None
        self.policies: PolicySet = (
            same.policies if same else _loaded(snapshot, after.policies if after is not None else None)
        )
        self._slicer: Slicer = same._slicer if same else Slicer(self.policies.policies)
        before = after.world if after is not None else None
        stays = before is not None and before.same_as(snapshot, self.policies.things)
        self.world: World = before if before is not None and stays else World(snapshot, self.policies.things, before)
        self.ends = snapshot.issued + snapshot.lifetime

    def ask(self, question: Question) -> Verdict:
        """Cedar's verdict; never raises: what can't be put to it is an error, and no allow."""
        return self.ask_of(question, self.slice(question))

    def ask_of(self, question: Question, some: Slice) -> Verdict:
        """The verdict of some policies alone."""
        try:
            entities = self.world.entities(question.principal, question.owner, enrolled=question.enrolled)
        except ValueError as error:
            return Verdict(allowed=False, policies=(), plan={}, errors=(str(error),))
        return ask(question, some, entities)

    def otherwise(self, question: Question, verdict: Verdict) -> Decide:
        """Asks of what differs from `question`, whose verdict is known: not where no policy reads what differs."""
        some = self.slice(question)
        return lambda changed: verdict if alike(changed, question, some) else self.ask(changed)

    def slice(self, question: Question) -> Slice:
        """The policies that could match."""
        return self._slicer.slice(question)

    def owner(self, caller: Caller) -> str:
        """Who owns the principal: what the snapshot says of a workload, the person for a person's process."""
        return self.world.workloads[caller.spiffe_id].owner if caller.enrolled else caller.human

    def thing(self, kind: ThingKind, named: str) -> Thing:
        """What the catalogue lists under that name; else what stands for all that it doesn't."""
        return self.world.thing(kind, named)

    def idle(self, resource: SpiffeId, caller: Caller | None) -> Workload | None:
        """Which of the two is in the snapshot but not active, if one is: nothing goes on between them then."""
        for spiffe_id in (resource, caller.spiffe_id if caller is not None and caller.enrolled else resource):
            workload = self.world.workloads.get(spiffe_id)
            if workload is not None and not workload.active:
                return workload
        return None


def _loaded(snapshot: Snapshot, before: PolicySet | None) -> PolicySet:
    policies = load(snapshot.policy_files, before)
    if policies.digest != snapshot.policy_set:
        message = f"the policies are `{policies.digest}`, the snapshot says `{snapshot.policy_set}`"
        raise PolicyError(message, file=snapshot.policy_files[0].name, line=1, column=1)
    return policies
