"""An emergency instance: break-glass where control can't run. It keeps nothing but its record, and ends with it."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from typing import Any, Final

from remit import __version__
from remit.config import Places, Settings
from remit.control import api, emergency_desk
from remit.control.attestor import mind_attestor
from remit.control.break_glass import BreakGlass
from remit.control.codes import BY_CODE
from remit.control.condition import Condition
from remit.control.deployment import Deployment
from remit.control.doors import DECISIONS, INFERENCE
from remit.control.emergency_desk import EmergencyDesk
from remit.control.emergency_footing import Footing
from remit.control.emergency_opening import ActsBeside, Asked, BookBeside, check_not_governed, withhold
from remit.control.founding import Tools, open_guards
from remit.control.gateway_link import GatewayLink
from remit.control.governance import Governance
from remit.control.guards import Guards
from remit.control.instance import write_run_file
from remit.control.launches import Launches
from remit.control.moments import this_moment
from remit.control.orphans import end_orphan, worker_file
from remit.control.own_authority import pem_of
from remit.control.realm import PoliciesInForce, Realm, Trust
from remit.control.roles import ALL
from remit.control.watches import Watches
from remit.control.workers import Workers
from remit.errors import AuditError, StateError
from remit.identity import Authority, SpiffeId
from remit.persons.break_glass import EMERGENCY, Opening
from remit.persons.openings_book import OpeningsBook
from remit.persons.sealing import DIRECTORY
from remit.policy import PolicyFile
from remit.policy.link import Svid
from remit.policy.load import load
from remit.secret import Secret

ZONE: Final = INFERENCE
NOBODY: Final = PolicyFile("emergency.cedar", '@id("emergency") forbid (principal, action, resource);\n')


class EmergencyInstance:
    """One opening's instance. `say` takes the events that are shown in the terminal that holds it open."""

    def __init__(
        self,
        places: Places,
        footing: Footing,
        settings: Settings,
        governance: Governance,
        *,
        tools: Tools,
        asked: Asked,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._places, self._footing, self._settings, self._governance = places, footing, settings, governance
        self._tools, self._asked, self._say = tools, asked, say
        self._stop = asyncio.Event()
        self._why = ""
        self._watches = Watches(self._broke)
        self._condition = Condition(places, tools.attestor.process.pid if tools.attestor else None)
        self._authority = Authority.create(footing.domain, time.time())  # its gateway's alone, gone with this process
        self._realm: Realm
        self._workers: Workers
        self._guards: Guards
        self._launches: Launches
        self._glass: BreakGlass

    def request_stop(self, why: str) -> None:
        self._why = self._why or why
        self._stop.set()

    async def run(self) -> None:
        """Start in order, stay until the opening is closed, end in the opposite order.

        1. its log takes a record; no gateway of an earlier run goes on beside it
        2. people as far as they are known, and one policy, which lets nobody in
        3. a gateway, and the servers that are found
        4. the opening, unless who asked runs under a governed workload: kept, and only then in force
        5. the socket that shows and closes it
        """
        async with contextlib.AsyncExitStack() as stack:
            # 1
            stack.callback(self._close_log)
            await self._begin_log(stack)
            # 2
            await self._open_realm()
            # 3
            await self._start_gateway(stack)
            await self._guard(stack)
            # 4
            await check_not_governed(self._asked, self._realm, self._launches, self._footing.log)
            await self._open()
            # 5
            stack.push_async_callback(self._watches.end)
            stack.push_async_callback(self._end_opening)
            await self._answer(stack)
            await self._stop.wait()
            self._say({"event": "stopping", "why": self._why})

    async def _begin_log(self, stack: contextlib.AsyncExitStack) -> None:
        if self._tools.attestor is not None:
            ended = "the attestor has ended"
            stack.callback(mind_attestor(self._tools.attestor, lambda _status: self.request_stop(ended)))
        await asyncio.to_thread(self._condition.look)
        facts = {"version": __version__, "grade": self._condition.grade(()).letter, "emergency": True}
        await self._footing.log.act("started", "control", None, facts)
        for zone in (ZONE, DECISIONS):
            pid = await end_orphan(worker_file(self._places.run, zone))
            if pid is not None:
                await self._footing.log.act("worker.orphan", zone, None, {"pid": pid})

    async def _open_realm(self) -> None:
        authority, domain = self._authority, self._footing.domain
        self._realm = Realm(
            Trust(domain, authority.signing_certificates(), authority.bundle().jwks()),
            self._tools.state,
            ActsBeside(self._footing.log),
            time.time,
            PoliciesInForce((NOBODY,), load((NOBODY,)).digest),
            lifetime=self._settings.snapshot_seconds,
            grade=self._condition.grade,
        )
        await self._governance.meet_all(self._realm, self._note)
        await self._realm.meet(self._asked.person.name, self._asked.person.uids)

    async def _start_gateway(self, stack: contextlib.AsyncExitStack) -> None:
        link = GatewayLink(
            self._footing.places,
            self._settings.gateway,
            self._footing.domain,
            self._footing.log,
            self._realm.workloads,
            self._say,
            lambda spiffe_id: self._watches.spawn(self._guards.models.lost(spiffe_id)),
        )
        self._realm.spending.answer(link)
        self._realm.marks.answer(link, lambda: self._workers.deliver(self._realm.snapshot()))
        self._workers = Workers(self._tools.worker, link, self._broke, self._places.run)
        self._workers.attestor = self._tools.attestor
        self._launches = Launches(self._realm, self._workers.deliver, self._watches.spawn)
        stack.callback(self._launches.close)
        await self._launches.take_up()
        stack.push_async_callback(self._workers.stop)
        self._workers.push(self._realm.snapshot())
        gateway = SpiffeId.of(self._footing.domain, "remit", "gateway", ZONE)
        self._workers.tell(Svid(Secret(pem_of(self._authority.issue_x509(gateway, time.time())))))
        await self._workers.start(ZONE)

    async def _guard(self, stack: contextlib.AsyncExitStack) -> None:
        """The servers that are found: not a demonstration, which nobody has an emergency with."""
        self._guards = open_guards(
            self._footing.places,
            self._settings,
            self._tools,
            self._governance,
            realm=self._realm,
            workers=self._workers,
            hasher=stack.enter_context,
            watches=self._watches,
            deliver=self._workers.deliver,
            say=self._say,
        )
        stack.push_async_callback(self._guards.close)
        found = await self._guards.first_look()
        for text in found.unread:
            self._note(text)
        for one in found.found:
            await self._guards.enrol(one)
        withhold(self._realm, self._places.audit, self._note)

    async def _open(self) -> None:
        kind = BookBeside if self._footing.spare else OpeningsBook
        self._glass = BreakGlass(kind(self._places.state / DIRECTORY), self._realm, self._workers.deliver, self._say)
        self._glass.close_dead(all_of_them=True)
        asked, through = self._asked, EMERGENCY + self._footing.where
        opening = Opening.begun(
            asked.person.name, asked.uid, BY_CODE, asked.reason, asked.seconds, through=through, at=this_moment()
        )
        self._glass.begin(opening)
        await self._workers.deliver(self._realm.snapshot())

    async def _answer(self, stack: contextlib.AsyncExitStack) -> None:
        desk = EmergencyDesk(
            Deployment.of(self._footing.places, self._governance.owner.name),
            self._governance,
            self._realm,
            self._guards,
            self._workers,
            self._glass,
            self._failures,
        )
        app = emergency_desk.build(desk)
        stack.push_async_callback(await api.serve(app, self._places.api_socket, self._places.socket_mode))
        status = desk.status(ALL)
        with contextlib.suppress(StateError, OSError):  # a full disk: it is only for who starts another
            urls = [server["base_url"] for server in status["guarded"] if "base_url" in server]
            write_run_file(self._places.run_file, {"pid": os.getpid(), "urls": urls, "api": status["api"]})
        self._say({"event": "ready", **status})
        for watch in (self._glass.mind(), self._renew(), self._until_closed()):
            self._watches.spawn(watch)
        if self._settings.discovery.look or self._settings.discovery.servers:
            self._watches.spawn(self._guards.rescan())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._settings.snapshot_seconds / 3)
            await self._workers.deliver(self._realm.snapshot())

    async def _until_closed(self) -> None:
        await self._glass.closed.wait()
        self.request_stop("break-glass is closed")

    async def _end_opening(self) -> None:
        try:
            await self._glass.end(self._why or "its instance was ended")
        except StateError as error:
            self._note(f"its end is not kept: {error}")

    def _failures(self) -> list[str]:
        own = self._footing.log.failure
        return ([str(own)] if own is not None else []) + self._workers.log_failures()

    def _broke(self, error: BaseException) -> None:
        """What it watches over would go on unwatched: it ends."""
        self._say({"event": "error", "message": str(error) or repr(error), "hint": getattr(error, "hint", "")})
        self.request_stop(f"a failure: {type(error).__name__}")

    def _close_log(self) -> None:
        with contextlib.suppress(AuditError):  # on record as an end without a checkpoint
            self._footing.log.close()

    def _note(self, text: str) -> None:
        self._say({"event": "note", "text": text})
