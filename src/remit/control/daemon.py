"""The control process: starts in order, keeps the gateways fed, and ends everything cleanly."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from remit import __version__
from remit.config import Places, Settings
from remit.control import policy_watch
from remit.control.approvals import Approvals
from remit.control.attestor import mind_attestor
from remit.control.break_glass import BreakGlass
from remit.control.condition import Condition
from remit.control.decision_zone import open_decisions
from remit.control.desk import Desk
from remit.control.doors import DECISIONS, INFERENCE
from remit.control.founding import (
    Tools,
    open_approvals,
    open_break_glass,
    open_grading,
    open_guards,
    open_link,
    open_realm,
    open_source,
)
from remit.control.gateway_link import GatewayLink
from remit.control.governance import Governance
from remit.control.grading import Grading
from remit.control.guards import Guards
from remit.control.identity_source import IdentitySource
from remit.control.instance import write_run_file
from remit.control.launches import Launches
from remit.control.logs_word import LogsWord
from remit.control.mind_ends import mind_ends
from remit.control.orphans import end_orphan, worker_file
from remit.control.own_log import OwnLog
from remit.control.person_door import open_person_door
from remit.control.policy_source import Source, source
from remit.control.presence import presence
from remit.control.proofs import Proofs
from remit.control.realm import PoliciesInForce, Realm
from remit.control.renewing import renew
from remit.control.roles import ALL
from remit.control.separation import mind as mind_roles
from remit.control.serving import open_desk, serve
from remit.control.serving_tokens import serve_tokens
from remit.control.sparing import Sparing
from remit.control.voice import Voice
from remit.control.watches import Watches
from remit.control.workers import Workers
from remit.errors import AuditError, StateError
from remit.inventory import Discovered
from remit.policy.observing import OBSERVE

ZONE: Final = INFERENCE


class Daemon:
    """One instance's control. `say` takes the events that `remit up` shows."""

    def __init__(
        self,
        places: Places,
        settings: Settings,
        governance: Governance,
        *,
        tools: Tools,
        trust_domain: str,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._places, self._settings, self._tools = places, settings, tools
        self._voice, self._say = Voice(say), say
        self._governance, self._owner = governance, governance.owner
        self._domain = trust_domain
        self._condition = Condition(places, tools.attestor.process.pid if tools.attestor else None)
        self._stop = asyncio.Event()
        self._why = ""
        self.failed = False
        """It stops because something broke, not because it was told to."""
        self.again = False
        """It is to be started again by root: what it needs can't be had from here."""
        self._watches = Watches(self._watch_failed)
        self._log: OwnLog
        self._realm: Realm
        self._link: GatewayLink
        self._workers: Workers
        self._guards: Guards
        self._grading: Grading
        self._source: IdentitySource
        self._glass: BreakGlass
        self._approvals: Approvals

    def request_stop(self, why: str) -> None:
        self._why = self._why or why
        self._stop.set()

    async def run(self) -> None:
        """Start in order, stay until told to stop, end in the opposite order.

        1. the log, so that everything after it is recorded; no worker of an earlier run goes on beside this one
        2. policies and what is in force: without a policy nothing starts
        3. the gateway, while the host is searched for model servers
        4. enrolment: identity, owner, doors; a demonstration server if there is nothing to guard
        5. the APIs
        """
        async with contextlib.AsyncExitStack() as stack:
            # 1
            await self._open_log(stack)
            await self._end_orphan()
            # 2
            written = source(self._places, self._settings)
            policies = policy_watch.first(written)
            await self._found(policies)
            self._voice.starting(
                trust_domain=self._domain,
                owner=self._owner.name,
                shared=self._places.shared,
                grade=self._realm.grade,
            )
            # 3
            launches, found = await self._start_gateway(stack)
            # 4
            await self._guard(stack, found)
            # 5
            await self._answer(stack, launches)
            self._watch_over(written, policies, demo=not found.found)
            stack.push_async_callback(self._watches.end)
            await self._stop.wait()
            self._say({"event": "stopping", "why": self._why})
            if self._log.failure is None:
                await self._log.act("stopping", "control", None, {"why": self._why})

    async def _found(self, policies: PoliciesInForce) -> None:
        """Identity, what is in force, the way to the gateways, and break-glass as it was left."""
        places, settings, tools = self._places, self._settings, self._tools
        self._source = open_source(places, settings, self._domain, tools, self._log)
        await self._source.catch_up()
        self._realm = await open_realm(
            self._source,
            tools,
            self._log,
            policies,
            said=LogsWord(places.audit, tools.state, self._voice.failure, self._voice.note),
            settings=settings,
            condition=self._condition,
            governance=self._governance,
            note=self._voice.note,
        )
        self._link, self._workers = open_link(
            places,
            settings,
            tools,
            realm=self._realm,
            log=self._log,
            model_lost=lambda spiffe_id: self._watches.spawn(self._guards.models.lost(spiffe_id)),
            broken=self._broke,
            say=self._say,
        )
        self._approvals = open_approvals(places, settings, self._realm, self._link, self._watches, self._say)
        self._realm.narrowed = lambda: self._workers.push(self._realm.snapshot())
        self._glass = open_break_glass(places, self._realm, self._workers.deliver, self._say, self._voice.note)

    async def _start_gateway(self, stack: contextlib.AsyncExitStack) -> tuple[Launches, Discovered]:
        self._grading = open_grading(
            self._settings,
            self._tools,
            realm=self._realm,
            condition=self._condition,
            workers=self._workers,
            doors=self._doors,
            shared=self._places.shared,
            say=self._say,
            note=self._voice.note,
        )
        stack.push_async_callback(self._lift_fence)
        self._guards = open_guards(
            self._places,
            self._settings,
            self._tools,
            self._governance,
            realm=self._realm,
            workers=self._workers,
            hasher=stack.enter_context,
            watches=self._watches,
            deliver=self._grading.deliver,
            say=self._say,
        )
        launches = Launches(self._realm, self._workers.deliver, self._watches.spawn)
        stack.callback(launches.close)
        await launches.take_up()
        gateway = asyncio.create_task(self._start_worker(stack))
        found = await self._guards.first_look()
        await gateway
        return launches, found

    async def _guard(self, stack: contextlib.AsyncExitStack, found: Discovered) -> None:
        stack.push_async_callback(self._guards.close)
        for text in found.unread:
            self._voice.note(text)
        for one in found.found:
            await self._guards.enrol(one)
        if not found.found:
            await self._guards.start_demo()

    async def _answer(self, stack: contextlib.AsyncExitStack, launches: Launches) -> None:
        decisions = await open_decisions(
            stack, self._places, self._settings.decisions, self._workers, self._source, self._domain
        )
        record = Sparing(self._log.act)
        self._watches.spawn(record.mind())
        proofs = Proofs(self._places, self._settings, self._realm, record)
        self._watches.spawn(presence(self._settings, self._realm, self._workers.push, proofs.proving).mind())
        tokens = await self._serve_tokens(stack, proofs)
        if proofs.passkeys.not_served:
            self._voice.note(f"the page of passkeys is not served: {proofs.passkeys.not_served}")
        desk = open_desk(
            self._places,
            self._governance,
            self._realm,
            self._log,
            self._workers,
            self._guards,
            self._source,
            self.request_stop,
            self._settings,
            launches,
            tokens,
            self._condition,
            self._glass,
            proofs,
            self._approvals,
        )
        await serve(stack, self._places, desk, self._source, self._realm, self._log)
        await open_person_door(stack, self._places, self._settings, self._tools, desk, record)
        self._source.changed = self._keys_changed
        desk.seen.decisions.update(decisions)
        self._ready(desk)

    async def _serve_tokens(self, stack: contextlib.AsyncExitStack, proofs: Proofs) -> str:
        """The token endpoint's address; without its port all else goes on, and that is said."""
        try:
            return await serve_tokens(
                stack, self._settings, self._source, self._realm, self._workers, self._guards.urls, proofs.passkeys
            )
        except StateError as error:
            self._voice.note(f"{error}: {error.hint}")
            return ""

    async def _open_log(self, stack: contextlib.AsyncExitStack) -> None:
        self._log = OwnLog.open(self._places, self._domain)
        stack.callback(self._close_log)
        if self._tools.attestor is not None:
            stack.callback(mind_attestor(self._tools.attestor, self._attestor_ended))
        if self._tools.fence is not None:
            stack.callback(self._tools.fence.mind(self._fence_ended))
        self._tools.checking.mind(self._log.act, self._checker_ended)
        stack.callback(self._tools.checking.close)
        await asyncio.to_thread(self._condition.look)
        found = self._condition.grade(())
        self._condition.on_record = found.letter
        mode = {"policies": "not enforced"} if self._settings.policy.mode == OBSERVE else {}
        await self._log.act("started", "control", None, {"version": __version__, "grade": found.letter, **mode})

    def _close_log(self) -> None:
        try:
            self._log.close()
        except AuditError as error:
            self._voice.failure(error)

    async def _end_orphan(self) -> None:
        for zone in (ZONE, DECISIONS):
            pid = await end_orphan(worker_file(self._places.run, zone))
            if pid is not None:
                self._voice.note(f"ended the gateway that an earlier run left behind (pid {pid})")
                await self._log.act("worker.orphan", zone, None, {"pid": pid})

    def _attestor_ended(self, status: int) -> None:
        """Only what root started with capabilities can start another: so all of this is started again."""
        self._start_again(
            f"the attestor ended (status {status}): starting again with another", "the attestor has ended"
        )

    def _checker_ended(self) -> None:
        """As with the attestor: only root can start another."""
        self._start_again("the checker ended: starting again with another", "the checker of passwords has ended")

    def _start_again(self, note: str, why: str) -> None:
        self._voice.note(note)
        self.again = True
        self.request_stop(why)

    def _fence_ended(self, status: int) -> None:
        """What it put in the kernel stays there until another one takes its place."""
        self._start_again(f"the fence ended (status {status}): starting again with another", "the fence has ended")

    def _doors(self) -> Iterable[Mapping[str, str]]:
        return self._guards.urls.values()

    async def _lift_fence(self) -> None:
        """Not when all of it is started again at once: what was closed stays closed."""
        if not self.again:
            await self._grading.fencing.lift()

    async def _start_worker(self, stack: contextlib.AsyncExitStack) -> None:
        stack.push_async_callback(self._realm.spending.close)
        stack.push_async_callback(self._workers.stop)
        self._workers.push(self._realm.snapshot())
        self._workers.tell(self._source.gateway_svid(ZONE))
        await self._workers.start(ZONE)

    def _broke(self, error: BaseException) -> None:
        """Without its gateway or one of its watches this instance would not guard and not say so: it ends."""
        self.failed = True
        self._voice.failure(error)
        self.request_stop(f"a failure: {type(error).__name__}")

    def _ready(self, desk: Desk) -> None:
        status = desk.seen.status(ALL)
        urls = [server["base_url"] for server in status["guarded"] if "base_url" in server]
        write_run_file(self._places.run_file, {"pid": os.getpid(), "urls": urls, "api": status["api"]})
        self._say({"event": "ready", **status})

    def _watch_over(self, written: Source, policies: PoliciesInForce, *, demo: bool) -> None:
        self._watches.spawn(policy_watch.watch(written, policies, self._policies_changed))
        self._glass.seal_first(self._owner.name, self._owner.uids)
        self._watches.spawn(self._glass.mind())
        self._watches.spawn(
            renew(
                self._realm,
                self._workers,
                self._source,
                self._condition,
                lifetime=self._settings.snapshot_seconds,
            )
        )
        self._watches.spawn(mind_ends(self._realm, self._workers.deliver))
        self._watches.spawn(self._realm.spending.mind())
        self._watches.spawn(self._source.mind(self._voice.note))
        if self._governance.separation is not None:
            self._watches.spawn(mind_roles(self._governance.separation, self._realm.act, self._say))
        self._watches.spawn(self._grading.mind())
        if demo:
            self._watches.spawn(self._guards.mind_demo())
        if self._settings.discovery.look or self._settings.discovery.servers:
            self._watches.spawn(self._guards.rescan())

    def _watch_failed(self, error: BaseException) -> None:
        """A watch that fails ends the instance: what it watched over would go on unwatched.

        Not when control's own log failed: then nothing can change here any more, and `status` says so.
        """
        if isinstance(error, AuditError):
            self._voice.failure(error)
        else:
            self._broke(error)

    async def _policies_changed(self, policies: PoliciesInForce) -> None:
        await self._realm.put_policies(policies)
        await self._workers.deliver(self._realm.snapshot())
        self._say({"event": "policy", "set": policies.digest, "warning": policies.warning})

    async def _keys_changed(self, svid: bool) -> None:
        self._realm.trust = self._source.trust()
        await self._workers.deliver(self._realm.snapshot())
        for zone in self._workers.live if svid else ():
            self._workers.tell(self._source.gateway_svid(zone), zone)
