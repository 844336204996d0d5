"""A request for an approval as people see it: what exactly, from where, to where, and what follows from a yes."""

from collections.abc import Iterable
from typing import Any, Final

from remit.control.approval_limits import suggestion
from remit.control.approval_live import Live
from remit.control.realm import Realm
from remit.tasks import ApprovalRequest, Task
from remit.tasks.approval_matter import Matter
from remit.tasks.approval_request import RequestState

_AGREED: Final = (RequestState.APPROVED, RequestState.SPENT)
_VOUCHED: Final = ("human", "trusted")
_UNVOUCHED: Final = ("claimed", "untrusted", "unseen")
_SAID: Final = {
    "human": "a person's own words",
    "trusted": "a trusted source",
    "claimed": "what a client says its user wrote",
    "untrusted": "content from outside",
    "unseen": "nowhere that was seen: the model made it",
}


def row(request: ApprovalRequest, live: Live | None, realm: Realm) -> dict[str, Any]:
    """One line of a list."""
    names = {human.person: human.name for human in realm.humans.values()}
    summary = request.summary
    return {
        "id": request.id,
        "state": "self-confirmed" if request.self_confirmed and request.state in _AGREED else request.state.value,
        "action": summary["action"],
        "thing": summary["thing"],
        "on": summary["on"],
        "needed": request.needed,
        "task": request.task,
        "for": sorted(names.get(person, person) for person in request.requesters),
        "calls": request.calls,
        "waiting": live.waiting if live is not None else 0,
        "asked": request.asked,
        "left": round(max(0.0, request.expires - realm.clock()), 1) if request.open else 0.0,
        "by": names.get(request.by, request.by),
    }


def _answer(request: ApprovalRequest) -> str:
    """What the person said who answered, whatever became of it since; empty where nobody did."""
    if not request.by or request.state is RequestState.DENIED:
        return "denied" if request.by else ""
    return "self-confirmed" if request.self_confirmed else "approved"


def whole(
    request: ApprovalRequest, live: Live | None, realm: Realm, others: Iterable[ApprovalRequest]
) -> dict[str, Any]:
    """All of it. `matter` is there while it is open; `digest` names exactly what is shown."""
    task = realm.tasks.get(request.task or "")
    shown = {
        **row(request, live, realm),
        "extent": request.extent.value,
        "answer": _answer(request),
        "why": request.why,
        "proof": request.proof,
        "expires": request.expires,
        "suggestion": suggestion(request, others),
        "purpose": task.purpose if task is not None else "",
        "task_ends": task.expires if task is not None else None,
        "matter": None,
    }
    if live is None:
        return shown
    matter = live.matter
    return {
        **shown,
        "matter": matter.shown(),
        "provenance": provenance(matter),
        "blast": blast_radius(matter, task, realm),
        "digest": matter.digest,
    }


def provenance(matter: Matter) -> list[str]:
    """Where the values of its arguments came from, the worst first."""
    if matter.provenance is None:
        return ["where its arguments come from is not known"]
    told = [
        f"{kind}: from {_SAID[standing]}"
        for standing in (*reversed(_UNVOUCHED), *reversed(_VOUCHED))
        for kind in matter.provenance.get(standing, ())
    ]
    return told or ["it has no arguments"]


def blast_radius(matter: Matter, task: Task | None, realm: Realm) -> list[str]:
    """What follows if it goes wrong, as far as it is known here."""
    return [*_of_thing(matter), *_of_server(matter, realm), *_of_destination(matter), *_of_task(matter, task)]


def _of_thing(matter: Matter) -> list[str]:
    if matter.thing is None:
        return []
    thing, told = matter.thing, []
    if not thing.get("known", False):
        told.append("no catalogue lists it: what it does is not known")
    if thing.get("side_effects", False):
        told.append("it changes something outside, which nothing here takes back")
    if environment := thing.get("environment"):
        told.append(f"it belongs to `{environment}`")
    return told


def _of_server(matter: Matter, realm: Realm) -> list[str]:
    """Whom a change of the server itself would reach."""
    on = next((one for key, one in realm.workloads.items() if str(key) == matter.on), None)
    if on is None or matter.thing is not None:
        return []
    told = [f"the server belongs to `{on.environment}`"] if on.environment else []
    others = sum(task.on == on.spiffe_id and task.live(realm.clock()) for task in realm.tasks.values())
    return [*told, f"{others} tasks are on it now"] if others else told


def _of_destination(matter: Matter) -> list[str]:
    if matter.destination is None:
        return []
    place = matter.destination
    if not place.get("known", False):
        return ["it goes somewhere that no catalogue lists"]
    where = "within" if place.get("internal", False) else "outside"
    return [f"it goes to `{place['id']}`, {where}, cleared for rank {place.get('clearance', 0)}"]


def _of_task(matter: Matter, task: Task | None) -> list[str]:
    told = ["its task does not list it"] if matter.outside else []
    if matter.flow is not None and matter.flow.get("high"):
        told.append(f"the task has read data of rank {matter.flow['high']} (0 public, 3 restricted)")
    if matter.flow is not None and matter.flow.get("untrusted"):
        told.append("the task has read content from outside")
    if task is not None and task.budget.calls is not None:
        told.append(f"the task may make {task.budget.calls} calls in all")
    return told
