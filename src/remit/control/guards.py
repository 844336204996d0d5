"""What is guarded: servers found or started, enrolled, given doors, their models hashed, and let go when they end."""

import asyncio
import dataclasses
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from remit.config import Settings
from remit.control.demonstration import Demonstration
from remit.control.guarded_models import GuardedModels
from remit.control.lookout import Lookout
from remit.control.pace import Pace
from remit.control.patience import UNSEEN, Patience
from remit.control.realm import Realm
from remit.control.served import Served
from remit.control.watch_servers import Run, ServerWatches, opened, still_listens
from remit.control.workers import Workers
from remit.errors import AttestationError
from remit.identity import SpiffeId
from remit.inventory import Discovered, Exclusion, Found, Probe, Workload
from remit.inventory.changes import changes
from remit.inventory.enrolment import again, enrol
from remit.inventory.lifecycle import WITHHELD
from remit.inventory.listening import sockets_at
from remit.models import Hasher
from remit.policy import Snapshot

Event = dict[str, Any]


class Guards:
    """The guarded workloads of one instance. `spawn` runs what the end of a process or of hashing calls for.

    `owner` answers for the demonstration server, `whose` says who does for one that runs as some uid. With `by_uid`
    what answers at an address as another uid than before is another's, whatever it is.
    `urls` are the ways to call each workload, by name; `silent` says since when (Unix seconds) a guarded server
    has not answered, though it still runs and listens. `unseen` says why the machine could not be looked at last, or
    is empty.
    """

    def __init__(
        self,
        *,
        realm: Realm,
        workers: Workers,
        hasher: Hasher,
        probe: Probe,
        settings: Settings,
        run: Path,
        own_paths: frozenset[str],
        owner: str,
        whose: Callable[[int | None], Awaitable[str]],
        mode: int = 0o600,
        by_uid: bool = False,
        deliver: Callable[[Snapshot], Awaitable[bool]],
        say: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._realm, self._workers, self._own_paths = realm, workers, own_paths
        self._environment, self._run, self._whose = settings.environment, run, whose
        self._by_uid, self._owner = by_uid, owner
        self._deliver, self._say = deliver, say
        self._lookout = Lookout(probe, settings.discovery, self._own)
        self._watches = ServerWatches(lambda spiffe_id, process: spawn(self._process_ended(spiffe_id, process)))
        self._demo = Demonstration(
            realm=realm,
            workers=workers,
            owner=owner,
            environment=settings.environment,
            guard=self._guard_demo,
            let_go=self._demo_given_up,
            say=say,
        )
        self._one_change = asyncio.Lock()  # what a look or a process's end saw stays so until it is acted on
        self._pace = Pace()
        self.models = GuardedModels(
            realm, hasher, self._one_change, self._pace, deliver=deliver, say=say, spawn=spawn
        )
        self._served = Served(workers, settings.gateway, run, say, mode)
        self.urls = self._served.urls
        self.silent: dict[SpiffeId, float] = {}
        self.unseen = ""

    async def look(self) -> Discovered:
        """The model servers on this host now: found, and those that the configuration names."""
        try:
            found = await self._lookout.look()
        except UNSEEN as error:
            self.unseen = str(error)
            raise
        self.unseen = ""
        return found

    async def first_look(self) -> Discovered:
        """As `look`, before anything is guarded; a machine that can't be looked at yet keeps nobody from starting."""
        try:
            return await self.look()
        except UNSEEN as error:
            return Discovered((), (f"this host can't be looked at: {error}; it is tried again",))

    async def enrol(self, found: Found) -> None:
        """Give a found server its identity: the one it had before, when it was known under this address."""
        async with self._one_change:
            await self._enrol(found)

    async def start_demo(self) -> None:
        """Start Remit's own demonstration server: a private socket, a random key that only Remit holds."""
        if not self._owner:
            self._say(
                {
                    "event": "note",
                    "text": "no model server answers here, and nobody is named to administer Remit: "
                    "a demonstration model would be nobody's, and is not started (see /etc/remit/config.toml)",
                }
            )
            return
        self._say({"event": "note", "text": "no model server answers here: starting a demonstration model (SmolLM2)"})
        await self._demo.start(self._run / "demo" / "model.sock")

    async def mind_demo(self) -> None:
        """Start the demonstration server again when it dies."""
        await self._demo.mind()

    async def rescan(self) -> None:
        """Look again now and then, and soon after a server was lost."""
        patience = Patience(lambda text: self._say({"event": "note", "text": text}))
        while True:
            await self._pace.over()
            await patience.tried(self.look_again())

    async def look_again(self) -> None:
        """Guard what is found as it is now: new servers, and those that are not what was enrolled any more.

        What is guarded and was not found is let go when nothing of its own listens there any more; silence alone may
        be its work.
        """
        found = (await self.look()).found
        for one in found:
            await self._meet(one)
        answered = {one.upstream for one in found}
        missed = [one for one in self._realm.workloads.values() if one.upstream not in answered]
        await asyncio.gather(*(self._miss(one) for one in missed if one.found == "discovered"))

    async def close(self) -> None:
        """End what was started here and close every door."""
        self._watches.close()
        await self._demo.stop()
        self._served.close()

    async def _enrol(self, found: Found) -> None:
        """Put a found server in force, watched first: nothing is guarded whose process has ended meanwhile."""
        workload = self._workload_for(found, await self._whose(found.uid))
        try:
            watch = opened(workload)
        except AttestationError as error:
            self._say({"event": "note", "text": f"{workload.name} is not guarded: {error}"})
            self._pace.hurry()
            return
        with ExitStack() as undo:
            if watch is not None:
                undo.callback(watch.pidfd.close)
            await self._realm.lives.enrol(workload)
            undo.pop_all()
        self._watches.put(workload.spiffe_id, watch)
        self.models.forget(workload)
        self._say(_found_event(found, workload))
        await self._serve(workload)
        self.models.weigh(workload, found)

    def _workload_for(self, found: Found, owner: str) -> Workload:
        here = [one for one in self._realm.known_workloads.values() if one.upstream == found.upstream]
        for known in here:
            if known.server == found.server and (not self._by_uid or known.uid == found.uid):
                return dataclasses.replace(again(known, found, time.time()), owner=owner)
        withheld = any(one.state in WITHHELD for one in here)  # or it would be back as another kind of server
        return enrol(
            found,
            owner="" if withheld else owner,
            trust_domain=self._realm.trust.domain,
            environment=self._environment,
            taken={one.name for one in self._realm.known_workloads.values()},
            now=time.time(),
        )

    async def _guard_demo(self, workload: Workload) -> None:
        """Put the demonstration server in force: its process is watched by who started it."""
        async with self._one_change:
            if known := self._realm.known_workloads.get(workload.spiffe_id):
                workload = dataclasses.replace(workload, bindings=known.bindings)
            await self._realm.lives.enrol(workload)
            await self._serve(workload)
            self.models.weigh_demo(workload)

    async def _serve(self, workload: Workload) -> None:
        """Tell the gateway, and open its doors: from then on it can be called through Remit."""
        await self._deliver(self._realm.snapshot())
        self._served.open(workload)

    async def _meet(self, found: Found) -> None:
        """A server answered: guard it, anew if it is not what was enrolled at this address."""
        async with self._one_change:
            known = next((one for one in self._realm.workloads.values() if one.upstream == found.upstream), None)
            if known is None:
                await self._enrol(found)
                return
            self.silent.pop(known.spiffe_id, None)
            differing = changes(known, found)
            if rewritten := await self.models.rewritten(known, found):
                differing["weights"] = rewritten
            if differing:
                await self._enrol_anew(known, found, differing)

    async def _enrol_anew(self, known: Workload, found: Found, differing: dict[str, Any]) -> None:
        """On record, what changed; calls to what is another process or program by now are cut, not handed over."""
        await self._realm.act("workload.changed", str(known.spiffe_id), differing)
        self._say({"event": "note", "text": f"{known.name} changed ({', '.join(differing)}): it is enrolled anew"})
        if differing.keys() - {"models", "weights"}:
            await self._let_go(known, "another process or program answers there")
        await self._enrol(found)

    async def _miss(self, workload: Workload) -> None:
        """A guarded server was not found: ask it alone, and see whether it can still be there."""
        found = await self._lookout.ask_alone(workload.upstream)
        if found is not None:
            await self._meet(found)
            return
        there = await asyncio.to_thread(sockets_at, workload.upstream)
        async with self._one_change:
            if workload.spiffe_id not in self._realm.workloads:
                return  # its process ended meanwhile
            if not still_listens(workload, there):
                await self._let_go(workload, "its server listens there no more")
            elif workload.spiffe_id not in self.silent:
                self.silent[workload.spiffe_id] = time.time()
                self._say({"event": "note", "text": f"{workload.name} does not answer, but runs: it stays guarded"})

    async def _process_ended(self, spiffe_id: SpiffeId, run: Run) -> None:
        async with self._one_change:
            workload = self._realm.workloads.get(spiffe_id)
            if workload is not None and (workload.pid, workload.start) == run:
                await self._let_go(workload, f"its process {run.pid} has ended")

    async def _demo_given_up(self, spiffe_id: SpiffeId, why: str) -> None:
        async with self._one_change:
            await self._let_go(self._realm.workloads[spiffe_id], why)

    async def _let_go(self, workload: Workload, why: str) -> None:
        """Out of force: its doors stay, and refuse. A look comes soon, as it may be restarting."""
        self._watches.forget(workload.spiffe_id)
        self.models.forget(workload)
        self.silent.pop(workload.spiffe_id, None)
        self._pace.hurry()
        try:
            await self._realm.lives.leave(workload, why)
        finally:  # what answers there next is called by nobody, whether or not that could be written
            await self._deliver(self._realm.snapshot())
        self._say({"event": "note", "text": f"{workload.name} is not guarded any more: {why}"})

    def _own(self) -> Exclusion:
        """What is Remit's own and no server to be found."""
        pids = {os.getpid(), *(worker.child.pid for worker in self._workers.live.values())}
        ports, paths = self._served.own()
        if (demo := self._demo.server) is not None:
            pids.add(demo.pid)
            paths |= {str(demo.socket_path)}
        return Exclusion(frozenset(pids), ports, paths | self._own_paths)


def _found_event(found: Found, workload: Workload) -> Event:
    return {
        "event": "found",
        "name": workload.name,
        "pid": found.pid,
        "where": found.upstream.removeprefix("http://"),
        **found.to_dict(),
    }
