"""Workloads that a person registers, and what people declare of any: checked, on record, kept, in force."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from remit.control.governed import Observe, ancestry
from remit.control.realm import Realm
from remit.errors import AttestationError, NotFoundError, UsageError
from remit.identity import Process
from remit.identity.selectors import told
from remit.inventory import Human, Workload, matches
from remit.inventory.lifecycle import FINAL, STRAIGHT_TO_ACTIVE, Actor, LifecycleError, Verb
from remit.inventory.registration import Declared, changed, declare, register
from remit.inventory.selectors import REGISTERED, SelectorsError


class Registering:
    """Acts on the registry in `realm`. `environment` is what workloads are in unless somebody says otherwise."""

    def __init__(self, realm: Realm, environment: str, observe: Observe) -> None:
        self._realm, self._environment, self._observe = realm, environment, observe

    async def add(
        self,
        name: str,
        kind: str,
        selectors: Sequence[str],
        declared: Declared,
        *,
        owner: str,
        by: Human,
        asking: Process,
        proof: str,
        until: tuple[Verb, ...] = STRAIGHT_TO_ACTIVE,
    ) -> Workload:
        """Register a workload and make it active, or what `until` makes it.

        Raises UsageError, NotFoundError or SelectorsError.

        1. somebody known here answers for it
        2. its name, kind and facts can be taken, its selectors are possible and nobody else's
        3. no process of a workload that was found is it, nor Remit, nor who asks: that would be refused from then on
        4. on record, kept, in force
        """
        async with self._realm.one_act:
            # 1
            answers = person_named(self._realm, owner)
            # 2
            workload = await asyncio.to_thread(
                register,
                name,
                kind,
                selectors,
                declared,
                trust_domain=self._realm.trust.domain,
                environment=self._environment,
                known=tuple(self._realm.known_workloads.values()),
                now=self._realm.clock(),
            )
            # 3
            await asyncio.to_thread(self._check_processes, workload, asking)
            # 4
            actor = Actor.OWNER if by == answers else Actor.OPERATOR
            facts = {**_registration_facts(workload), "proof": proof}
            await self._realm.acts("workload.registered", str(workload.spiffe_id), by.person, facts)
            for verb in until:
                workload = await self._realm.lives.recorded(workload, verb, actor, by, {"proof": proof}, answers)
            self._realm.keep_workload(workload)
            return workload

    async def declare(self, name: str, declared: Declared, *, by: Human, proof: str) -> dict[str, list[Any]]:
        """Change what is declared of a workload, in force or not: what differs now, as [was, is]."""
        async with self._realm.one_act:
            before = self._realm.known_named(name)
            if before.state is FINAL:
                raise LifecycleError(f"`{before.name}` is {FINAL}, which is final: nothing of it changes")
            after = declare(before, declared)
            differing = changed(before, after)
            if differing:
                facts = {**differing, "proof": proof}
                await self._realm.acts("workload.declared", str(after.spiffe_id), by.person, facts)
                self._realm.replace_workload(after)
            return differing

    def _check_processes(self, workload: Workload, asking: Process) -> None:
        others = [one for one in self._realm.workloads.values() if one.found != REGISTERED and one.pid is not None]
        for other in others:
            if (process := self._seen(other.pid)) is not None and matches(workload, process):
                raise SelectorsError(
                    f"these selectors match two identities: process {process.pid} has those of "
                    f"`{workload.spiffe_id}` and is `{other.spiffe_id}`",
                    hint=f"add one that `{other.name}` does not have; `remit whois {process.pid}` lists its own",
                )
        for process in (*ancestry(asking, self._observe), self._seen(os.getpid())):
            if process is not None and matches(workload, process):
                raise SelectorsError(
                    f"process {process.pid} (`{process.name}`) has these selectors too, and with it Remit or whoever "
                    "asks for this: a workload could not be told from its owner",
                    hint="add `unix:path` or `unix:sha256` of the program that it runs",
                )

    def _seen(self, pid: int | None) -> Process | None:
        try:
            return self._observe(pid) if pid is not None else None
        except AttestationError:
            return None


def person_named(realm: Realm, name: str) -> Human:
    """Somebody known here, who can answer for a workload; raises UsageError for nobody, NotFoundError for others."""
    if not name:
        raise UsageError("a workload needs an owner", hint="name the person who answers for it: `--owner NAME`")
    human = realm.humans.get(name)
    if human is None:
        known = ", ".join(f"`{one}`" for one in realm.humans)
        raise NotFoundError(f"nobody known here is called `{name}`", hint=f"people with an account here are: {known}")
    return human


def _registration_facts(workload: Workload) -> dict[str, Any]:
    """What the log says of it. Paths and names of accounts are left out: they tell people's names."""
    return {
        "kind": workload.kind.value,
        "selectors": [told(one) for one in workload.selectors],
        "environment": workload.environment,
        "zone": workload.zone,
        "class": [one.value for one in workload.capabilities],
        "review_due": workload.review_due,
    }
