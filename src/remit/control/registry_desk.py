"""The desk's answers about workloads: what is kept of each, and the acts that a person may ask for."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from remit.control.realm import Realm
from remit.control.registering import Registering, person_named
from remit.control.visitor import Visitor
from remit.inventory import LifeState, Workload
from remit.inventory.lifecycle import FINAL, Actor, Verb, possible
from remit.inventory.registration import Declared, overdue
from remit.policy import Snapshot


class RegistryDesk:
    """Answers about the workloads in `realm`. What is done is in force before the answer, or said to be pending."""

    def __init__(
        self, realm: Realm, registering: Registering, deliver: Callable[[Snapshot], Awaitable[bool]]
    ) -> None:
        self._realm, self._registering, self._deliver = realm, registering, deliver

    def workloads(self) -> list[dict[str, Any]]:
        """Every workload that is known, in force or not, by name."""
        known = sorted(self._realm.known_workloads.values(), key=lambda workload: workload.name)
        return [self._described(workload) for workload in known]

    def workload(self, name: str) -> dict[str, Any]:
        """All that is kept about one, and what can be done with it now."""
        return self._described(self._realm.known_named(name))

    def registered(self) -> list[dict[str, Any]]:
        """The workloads that nobody calls, and are known by their selectors as callers."""
        own = (one for one in self._realm.workloads.values() if not one.server and one.state is not FINAL)
        fields = ("name", "spiffe_id", "kind", "owner", "state", "selectors", "review_due")
        rows = [one.to_dict() for one in sorted(own, key=lambda one: one.name)]
        return [{field: row[field] for field in fields} | {"class": row["capabilities"]} for row in rows]

    async def register(
        self, who: Visitor, name: str, kind: str, selectors: Sequence[str], owner: str, declared: Declared
    ) -> dict[str, Any]:
        """Register a workload by its selectors."""
        who.check_not_governed()
        await self._registering.add(
            name, kind, selectors, declared, owner=owner, by=who.human, asking=who.process, proof=who.proof
        )
        return await self._in_force(who, name)

    async def declare(self, who: Visitor, name: str, declared: Declared) -> dict[str, Any]:
        """Change what is declared of a workload."""
        who.check_not_governed()
        changed = await self._registering.declare(name, declared, by=who.human, proof=who.proof)
        return {**await self._in_force(who, name), "changed": changed}

    async def move(self, who: Visitor, name: str, verb: Verb, to: str = "") -> dict[str, Any]:
        """Move a workload on in its life; what that ends is cut. `to` is a new owner."""
        who.check_not_governed()
        workload = self._realm.known_named(name)
        actor = Actor.OWNER if who.human.name == workload.owner else Actor.OPERATOR
        heir = person_named(self._realm, to) if verb is Verb.TRANSFER else None
        try:
            await self._realm.lives.move(workload.spiffe_id, verb, actor, who.human, who.proof, heir)
        finally:  # what was kept is in force, also when a task's end could not be written
            answer = await self._in_force(who, name)
        return answer

    async def _in_force(self, who: Visitor, name: str) -> dict[str, Any]:
        settled = await self._deliver(self._realm.snapshot())
        return {"workload": self.workload(name), "proof": who.proof, "pending": not settled}

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
