"""What control holds of a request while it may still come to something: the matter, and who is behind it."""

import asyncio
from dataclasses import dataclass, field

from remit.control.realm import Realm
from remit.identity import SpiffeId
from remit.policy.question import USER
from remit.tasks import ApprovalRequest
from remit.tasks.approval_matter import Matter
from remit.tasks.four_eyes import Hands, anyone

POLICIES = "the policies are others now"
OVER = "its task has ended"


@dataclass(slots=True)
class Live:
    """Of one open request. `ends` is by the clock that nobody sets; `changed` is set with its next state.

    `waiting` are the calls that wait for it now; whoever was told only that it waits comes again.
    """

    matter: Matter
    hands: Hands
    ends: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0


def hands_of(matter: Matter, realm: Realm) -> Hands:
    """Everybody behind the call: its human, the owners of all workloads that it passed through, its tasks' people."""
    known = {str(spiffe_id): one.owner for spiffe_id, one in realm.known_workloads.items()}
    actors = (matter.workload, *matter.chain)
    names = {matter.human, *(known.get(one) or _person(one) for one in actors)}
    above: str | None = matter.task
    while above is not None:
        one = realm.tasks.get(above) or realm.sessions.get(above)
        names.add(one.human if one is not None else "")
        above = getattr(one, "parent", None)
    uids = {uid for name in names if (human := realm.humans.get(name)) is not None for uid in human.uids}
    return anyone(names, uids | set(matter.uids))


def _person(actor: str) -> str:
    """Whose process it is that is no workload, by its SPIFFE ID; empty for any other."""
    path = SpiffeId.parse(actor).path
    return path.removeprefix(f"/{USER}/") if path.startswith(f"/{USER}/") else ""


def ended(request: ApprovalRequest, realm: Realm, ends: float, steady: float) -> str | None:
    """Why it is over: empty where its time is, None where it is not."""
    now = realm.clock()
    if now >= request.expires or steady >= ends:
        return ""
    if request.policy_set != realm.policies.digest:
        return POLICIES
    task = realm.tasks.get(request.task) if request.task is not None else None
    return OVER if request.task is not None and (task is None or not task.live(now)) else None
