"""Enforcement points that ask over a unix socket: which workload each is, by the kernel's word, at every question."""

import asyncio
from collections.abc import Callable

from remit.errors import AttestationError
from remit.gateway.callers import by_process
from remit.gateway.zone import Zone
from remit.identity import Caller, PeerCredentials, Proof
from remit.identity.attestation import Attested, Connected, ReplacedError


class UnixPoints:
    """Those connected now. `registered` says whether a caller may decide for others what they may."""

    def __init__(self, zone: Zone, registered: Callable[[Caller], bool]) -> None:
        self._zone, self._registered = zone, registered
        self._attested: dict[Connected, asyncio.Future[Attested]] = {}
        self._known: dict[Attested, tuple[int, Caller]] = {}

    async def who(self, peer: PeerCredentials) -> Caller:
        """The point that asks; raises AttestationError for one that is not registered, or no longer what it was.

        1. the process that connected, as it is now
        2. nobody else holds its connection: looked at once, as it may be inherited
        3. it is an enforcement point, by the configuration in force
        """
        # 1
        attested = await self._now(peer.process)
        # 2
        if not attested.exhaustive:
            await asyncio.wrap_future(self._zone.walks.finish(attested))
        # 3
        caller = self._caller(attested)
        if not self._registered(caller) or self._zone.engine.idle(caller.spiffe_id, None) is not None:
            raise AttestationError(
                f"{caller.described()} is no enforcement point", hint="docs/envoy.md says how to register one"
            )
        return caller

    def gone(self, peer: PeerCredentials) -> None:
        """Its connection ended: give its handles back."""
        attesting = self._attested.pop(peer.process, None)
        if attesting is not None:
            attesting.add_done_callback(self._forget)
            attesting.cancel()

    def _caller(self, attested: Attested) -> Caller:
        """The same program under the same Snapshot is the same caller, unless that hangs on a task that may end."""
        epoch = self._zone.snapshot.epoch
        if (known := self._known.get(attested)) is not None and known[0] == epoch:
            return known[1]
        caller = by_process(attested, Proof.UNIX, self._zone.engine, self._zone.clock())
        if caller.process is None or caller.process.task is None:
            self._known[attested] = epoch, caller
        return caller

    def _forget(self, attesting: asyncio.Future[Attested]) -> None:
        if not attesting.cancelled() and attesting.exception() is None:
            self._known.pop(attesting.result(), None)
            attesting.result().close()

    async def _now(self, connected: Connected) -> Attested:
        attesting = self._attested.get(connected)
        if attesting is not None and not attesting.done():
            return await asyncio.shield(attesting)
        if attesting is not None and attesting.exception() is None:
            try:
                attesting.result().still()
                return attesting.result()
            except ReplacedError:
                self._forget(attesting)
        attesting = asyncio.get_running_loop().run_in_executor(self._zone.executor, connected.attest)
        self._attested[connected] = attesting
        return await asyncio.shield(attesting)
