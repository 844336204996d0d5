"""Tasks as they are shown: whose they are, on what, what is left of them."""

from typing import Any

from remit.control.realm import Realm
from remit.control.roles import Reach
from remit.tasks import Task


def running(realm: Realm, reach: Reach, now: float) -> list[dict[str, Any]]:
    """Those that run and are theirs to see: for them, or on what they own."""
    return [row(realm, task, now) for task in realm.tasks.values() if task.live(now) and sees(realm, reach, task)]


def sees(realm: Realm, reach: Reach, task: Task) -> bool:
    target = realm.known_workloads.get(task.on)
    return reach.sees(task.human) or reach.sees(target.owner if target is not None else "")


def row(realm: Realm, task: Task, now: float) -> dict[str, Any]:
    """`left` is seconds, `left_of_budget` what may still be spent of each kind that has a limit."""
    target = realm.workloads.get(task.on)
    return {
        **public(task.to_dict()),
        "on_name": target.name if target is not None else str(task.on),
        "left": round(task.expires - now, 1),
        "left_of_budget": realm.spending.left(task),
    }


def whole(realm: Realm, task: Task, now: float) -> dict[str, Any]:
    """All that is kept of one, also when it has ended, and the parts of it that run."""
    actors = {actor: realm.known_workloads.get(actor) for actor in task.chain}
    return {
        **row(realm, task, now),
        "running": task.live(now),
        "hands": [actor.name if actor is not None else str(key) for key, actor in actors.items()],
        "parts": [one.id for one in realm.tasks.values() if one.parent == task.id and one.live(now)],
    }


def public(task: dict[str, Any]) -> dict[str, Any]:
    """A task as it may be shown: without the digest of its token."""
    return {key: value for key, value in task.items() if key != "token_sha256"}
