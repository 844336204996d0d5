"""What is said of a workload, a person's process, or one of Remit's own: the rows of `remit whois`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.control.lately import Lately
from remit.control.realm import Realm
from remit.control.this_hour import moment_at
from remit.identity import Process, SpiffeId
from remit.inventory import Human, Workload
from remit.inventory.lifecycle import standing
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.observing import said
from remit.policy.permissions import Permission, permissions
from remit.tasks import Task

ADVISORY: Final = {"C": "ADVISORY", "B": "enforced from its own uid", "A": "contained"}
KINDS: Final = {
    "model_server": "a model server",
    "agent": "an agent",
    "tool_server": "a tool server",
    "retriever": "a retriever",
    "pipeline": "a pipeline",
}
VERBS: Final = {"act": "acts", "store": "stores", "disclose": "discloses"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the answer's facts come from. `control` and `gateways` are process ids."""

    realm: Realm
    in_force: InForce
    observe: Callable[[int], Process]
    ports: Callable[[int], list[int]]
    doors: Mapping[str, Mapping[str, str]]
    lately: Lately
    control: int
    gateways: Mapping[str, int]
    grade_why: str
    now: float
    given: str = ""
    """The SPIFFE ID that an outside SPIRE gave Remit itself, or empty."""


def about_workload(workload: Workload, sources: Sources) -> dict[str, Any]:
    """A workload: who it is, what it may do itself, and what callers may do with it."""
    realm = sources.realm
    return {
        "name": workload.name,
        "spiffe_id": str(workload.spiffe_id),
        "kind": workload.kind.value,
        "sentence": f"{KINDS[workload.kind.value]} that {_verbs(workload)}",
        "class": [one.value for one in workload.capabilities],
        "state": {"state": workload.state.value, "text": "" if workload.active else standing(workload)},
        "owner": {"name": workload.owner, "text": workload.owner},
        "for_whom": _for_whom(workload, sources),
        "proof": _server_proof(workload) if workload.server else _selector_proof(workload),
        "models": [{"name": model.name, "digest": model.digest} for model in workload.models],
        "grade": _grade(sources),
        "policies": _policies(realm),
        "may": _may(workload, sources),
        "tasks": [_task(task, sources.now) for task in _running(sources) if task.on == workload.spiffe_id],
        "reaches": _reaches(workload),
        "lately": sources.lately.about(str(workload.spiffe_id), sources.now),
    }


def about_person(human: Human, process: Process | None, sources: Sources) -> dict[str, Any]:
    """A person's process that is no workload of its own: their least remit."""
    realm = sources.realm
    name, what = (process.name, "a process") if process is not None else (human.name, "any process")
    return {
        "name": name,
        "spiffe_id": str(SpiffeId.of(realm.trust.domain, "user", human.name)),
        "kind": "process",
        "sentence": f"{what} of {human.name}, not enrolled as a workload of its own",
        "class": [],
        "owner": {"name": human.name, "text": human.name},
        "for_whom": human.name,
        "proof": _process_proof(process, human),
        "models": [],
        "grade": _grade(sources),
        "policies": _policies(realm),
        "may": [_row(human, workload, sources) for workload in realm.workloads.values() if workload.server],
        "tasks": [_task(task, sources.now) for task in _running(sources) if task.human == human.name],
        "reaches": [],
        "lately": sources.lately.by_process(process.pid if process is not None else -1, sources.now),
    }


def as_gateway(zone: str, sources: Sources) -> dict[str, Any]:
    """What sets a gateway apart from its person's other processes."""
    return {
        "name": f"gateway {zone}",
        "spiffe_id": sources.given or str(SpiffeId.of(sources.realm.trust.domain, "remit", "gateway", zone)),
        "kind": "gateway",
        "sentence": f"Remit's own gateway of zone {zone}: it passes on what its callers may",
        "for_whom": "its callers, each known by itself",
        "may": [],
    }


def as_control(sources: Sources) -> dict[str, Any]:
    """What sets control apart: it is the trust domain's authority, and has the domain's own ID, unless SPIRE is."""
    keeps = "the policies" if sources.given else "the identities, the policies"
    return {
        "name": "control",
        "spiffe_id": sources.given or str(SpiffeId.of(sources.realm.trust.domain)),
        "kind": "control",
        "sentence": f"Remit's own control process: it keeps {keeps} and the log's root key",
        "may": [],
    }


def _may(workload: Workload, sources: Sources) -> list[dict[str, Any]]:
    """What it may do itself, and what callers may do with it: nobody calls what has no server."""
    if workload.server:
        rows = [_row(human, workload, sources) for human in _callers(workload, sources)]
        return [{"who": "it", "on": "", "permissions": {}, "by": {}}, *rows]
    servers = [one for one in sources.realm.workloads.values() if one.server]
    return [_permitted("it", workload.spiffe_id, workload.owner, one, sources) for one in servers]


def _row(human: Human, workload: Workload, sources: Sources) -> dict[str, Any]:
    principal = SpiffeId.of(sources.realm.trust.domain, "user", human.name)
    return _permitted(human.name, principal, human.name, workload, sources)


def _permitted(who: str, principal: SpiffeId, human: str, workload: Workload, sources: Sources) -> dict[str, Any]:
    allowed = _asked(principal, human, workload, sources)
    return {
        "who": who,
        "on": workload.name,
        "permissions": {action.value: permission.answer for action, permission in allowed.items()},
        "by": {action.value: [str(ref) for ref in permission.policies] for action, permission in allowed.items()},
    }


def _asked(principal: SpiffeId, human: str, workload: Workload, sources: Sources) -> dict[Action, Permission]:
    now = sources.now
    return permissions(sources.in_force, principal, human, workload.spiffe_id, now, moment_at(now))


def _callers(workload: Workload, sources: Sources) -> list[Human]:
    """The owner first, then everyone else whose answer differs from nothing at all."""
    humans = sorted(sources.realm.humans.values(), key=lambda human: (human.name != workload.owner, human.name))
    return [human for human in humans if human.name == workload.owner or _anything(human, workload, sources)]


def _for_whom(workload: Workload, sources: Sources) -> str:
    """The people it answers: by policy alone, and those whose tasks run. What nobody calls acts for its owner."""
    if not workload.server:
        return workload.owner
    names = [human.name for human in _callers(workload, sources) if _anything(human, workload, sources)]
    tasks = [task for task in _running(sources) if task.on == workload.spiffe_id]
    text = ", ".join(names) or "nobody without a task"
    return f"{text}; and {len(tasks)} running task{'s' if len(tasks) != 1 else ''}" if tasks else text


def _running(sources: Sources) -> list[Task]:
    return [task for task in sources.realm.tasks.values() if task.live(sources.now)]


def _task(task: Task, now: float) -> dict[str, Any]:
    """A running task as it is shown: what it lets happen, and for how many seconds still."""
    left = round(task.expires - now, 1)
    return {"id": task.id, "human": task.human, "actions": list(task.actions), "on": str(task.on), "left": left}


def _anything(human: Human, workload: Workload, sources: Sources) -> bool:
    principal = SpiffeId.of(sources.realm.trust.domain, "user", human.name)
    allowed = _asked(principal, human.name, workload, sources)
    return any(permission.answer == "yes" for permission in allowed.values())


def _server_proof(workload: Workload) -> dict[str, Any]:
    digest = f" sha256:{workload.exe_sha256[:4]}…" if workload.exe_sha256 else ""
    exe = workload.exe or "executable unknown"
    pid = f"pid {workload.pid}" if workload.pid is not None else "its process can't be seen"
    how = "started by Remit" if workload.demonstration else "found by what it answers, attested by the kernel"
    return {
        "pid": workload.pid,
        "exe": workload.exe,
        "exe_sha256": workload.exe_sha256,
        "how": how,
        "text": f"{pid}, {exe}{digest} ({how})",
    }


def _selector_proof(workload: Workload) -> dict[str, Any]:
    """How the processes of a workload that was registered are known."""
    return {"pid": None, "how": "registered", "text": f"by its selectors: {', '.join(workload.selectors)}"}


def _process_proof(process: Process | None, human: Human) -> dict[str, Any]:
    if process is None:
        return {"pid": None, "text": f"by uid {', '.join(map(str, human.uids))} alone"}
    digest = f" sha256:{process.exe_sha256[:4]}…" if process.exe_sha256 else ", executable unknown to this user"
    parents = " ← ".join(f"{parent.name} ({parent.pid})" for parent in process.parents[:3])
    text = (
        f"pid {process.pid}, uid {process.uid}, {process.exe or process.name}{digest}; started by {parents or 'init'}"
    )
    return {**process.to_dict(), "text": text}


def _grade(sources: Sources) -> dict[str, str]:
    grade = sources.realm.grade
    return {"grade": grade, "text": f"{grade}: {ADVISORY[grade]} {sources.grade_why}"}


def _policies(realm: Realm) -> dict[str, Any]:
    return {
        "set": realm.policies.digest,
        "files": [file.name for file in realm.policies.files],
        "warning": realm.policies.warning,
        **said(realm.observing),
    }


def _reaches(workload: Workload) -> list[str]:
    if workload.reach in {"lan", "all"}:
        return ["it answers on the network as well: anyone there can reach it without Remit"]
    if workload.reach == "loopback":
        return ["its own port answers any process on this machine: Remit guards only the door it opened"]
    return []


def _verbs(workload: Workload) -> str:
    return " and ".join(VERBS[one.value] for one in workload.capabilities) or "can do nothing known"
