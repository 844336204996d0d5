"""The desk's answers about workloads: what is kept of each, and the acts that a person may ask for."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from remit.control.proving import Proving
from remit.control.realm import Realm
from remit.control.registering import Registering, person_named
from remit.control.roles import NotAdmittedError, Reach, Role
from remit.control.visitor import Visitor
from remit.inventory import Kind, LifeState, Workload
from remit.inventory.lifecycle import FINAL, STRAIGHT_TO_ACTIVE, Actor, Verb, possible
from remit.inventory.registration import Declared, overdue
from remit.persons import Act, Shown
from remit.policy import Snapshot

_DEPLOYED: Final = frozenset({Kind.MODEL_SERVER, Kind.TOOL_SERVER})


class RegistryDesk:
    """Answers about the workloads in `realm`. What is done is in force before the answer, or said to be pending."""

    def __init__(
        self,
        realm: Realm,
        registering: Registering,
        deliver: Callable[[Snapshot], Awaitable[bool]],
        proving: Proving,
    ) -> None:
        self._realm, self._registering, self._deliver, self._proving = realm, registering, deliver, proving

    def workloads(self, reach: Reach) -> list[dict[str, Any]]:
        """Every workload of theirs that is known, in force or not, by name."""
        known = sorted(self._realm.known_workloads.values(), key=lambda workload: workload.name)
        return [self._described(workload) for workload in known if reach.sees(workload.owner, workload.uid)]

    def workload(self, reach: Reach, name: str) -> dict[str, Any]:
        """All that is kept about one, and what can be done with it now."""
        workload = self._realm.known_named(name)
        reach.check_sees(f"`{name}`", workload.owner, workload.uid)
        return self._described(workload)

    def registered(self, reach: Reach) -> list[dict[str, Any]]:
        """The workloads that nobody calls, and are known by their selectors as callers."""
        own = (
            one
            for one in self._realm.workloads.values()
            if not one.server and one.state is not FINAL and reach.sees(one.owner)
        )
        fields = ("name", "spiffe_id", "kind", "owner", "state", "selectors", "review_due")
        rows = [one.to_dict() for one in sorted(own, key=lambda one: one.name)]
        return [{field: row[field] for field in fields} | {"class": row["capabilities"]} for row in rows]

    async def register(
        self, who: Visitor, name: str, kind: str, selectors: Sequence[str], owner: str, declared: Declared
    ) -> dict[str, Any]:
        """Register a workload by its selectors: a person one of their own, that only their processes can be."""
        if who.reach.role is Role.PERSON:
            _check_own(who, owner, selectors)
        shown = Shown.of(name=name, kind=kind, selectors=selectors, owner=owner, declared=declared)
        known = (await self._proving.require(who, Act.WORKLOAD_ADD, shown)).kind.value
        deployed = kind in _DEPLOYED and who.reach.deployer is False  # until a deployer says that it is used
        until = (Verb.OWN,) if deployed else STRAIGHT_TO_ACTIVE
        await self._registering.add(
            name, kind, selectors, declared, owner=owner, by=who.human, asking=who.process, proof=known, until=until
        )
        return await self._in_force(known, name)

    async def declare(self, who: Visitor, name: str, declared: Declared) -> dict[str, Any]:
        """Change what is declared of a workload."""
        self._check_governs(who, name)
        shown = Shown.of(name=name, declared=declared)
        known = (await self._proving.require(who, Act.WORKLOAD_SET, shown)).kind.value
        changed = await self._registering.declare(name, declared, by=who.human, proof=known)
        return {**await self._in_force(known, name), "changed": changed}

    async def move(self, who: Visitor, name: str, verb: Verb, to: str = "") -> dict[str, Any]:
        """Move a workload on in its life; what that ends is cut. `to` is a new owner."""
        self._check_moves(who, name, verb)
        shown = Shown.of(name=name, **({"to": to} if to else {}))
        known = (await self._proving.require(who, Act(f"workload.{verb}"), shown)).kind.value
        workload = self._realm.known_named(name)
        actor = Actor.OWNER if who.human.name == workload.owner else Actor.OPERATOR
        heir = person_named(self._realm, to) if verb is Verb.TRANSFER else None
        try:
            await self._realm.lives.move(workload.spiffe_id, verb, actor, who.human, known, heir)
        finally:  # what was kept is in force, also when a task's end could not be written
            answer = await self._in_force(known, name)
        return answer

    def _check_moves(self, who: Visitor, name: str, verb: Verb) -> None:
        """Where deployers are named, they alone put a server of models or tools to use, whosever it is."""
        deployed = self._realm.known_named(name).kind in _DEPLOYED
        if verb is Verb.ACTIVATE and deployed and who.reach.deployer is not None:
            who.reach.check_deploys()
        else:
            self._check_governs(who, name)

    def _check_governs(self, who: Visitor, name: str) -> None:
        workload = self._realm.known_named(name)
        who.reach.check_governs(f"`{workload.name}`", workload.owner, workload.uid)

    async def _in_force(self, known: str, name: str) -> dict[str, Any]:
        settled = await self._deliver(self._realm.snapshot())
        return {"workload": self._described(self._realm.known_named(name)), "proof": known, "pending": not settled}

    def _described(self, workload: Workload) -> dict[str, Any]:
        now, here = time.time(), workload.spiffe_id in self._realm.workloads
        tasks = (task for task in self._realm.tasks.values() if task.on == workload.spiffe_id and task.live(now))
        return {
            **workload.to_dict(),
            "here": here,
            "in_force": here and workload.state is LifeState.ACTIVE,
            "overdue": overdue(workload, now),
            "possible": [verb.value for verb in possible(workload.state)],
            "tasks": [task.id for task in tasks],
        }


def _check_own(who: Visitor, owner: str, selectors: Sequence[str]) -> None:
    """A person registers for themselves, and not what another account's processes could be taken for."""
    if owner != who.human.name:
        raise NotAdmittedError("only an administrator registers a workload for somebody else")
    own = {f"unix:uid:{uid}" for uid in who.reach.uids}
    if own.isdisjoint(selectors):
        raise NotAdmittedError(
            "without one of your own uid these selectors could be another person's process",
            hint=f"add `{min(own, default='unix:uid:UID')}`",
        )
