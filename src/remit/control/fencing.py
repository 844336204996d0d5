"""The direct ways to guarded servers, closed while they are guarded: what is to be refused, and what is."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from remit.control.fence import Fence
from remit.control.inner_sockets import InnerSockets
from remit.control.raw_ports import CLOSED, OPEN, Closing
from remit.control.shares import shares
from remit.control.ways import TOO_MANY, Around, around
from remit.errors import AttestationError, StateError
from remit.identity import SpiffeId
from remit.identity.attestation import listeners
from remit.inventory import Workload
from remit.sandbox.fence_line import MAX_WAYS, Way

NO_RIGHT: Final = "Remit was started without CAP_NET_ADMIN, so that it can refuse nothing in the kernel"


class Fencing:
    """Closes the ways to the `workloads` in force, as `choice` (`guard.raw_ports`) has it; never Remit's `own` ports.

    Without a `fence` nothing is closed, and the facts say why.
    """

    def __init__(
        self,
        fence: Fence | None,
        choice: str,
        workloads: Mapping[SpiffeId, Workload],
        own: Callable[[], frozenset[int]],
        note: Callable[[str], None],
    ) -> None:
        self._fence, self._choice, self._workloads, self._own = fence, choice, workloads, own
        self._note = note
        self._inner = InnerSockets()
        self._one = asyncio.Lock()
        self._around: dict[SpiffeId, Around] = {}
        self._put: frozenset[Way] | None = None
        self.standing: frozenset[Way] = frozenset()
        """What the kernel refused when it was asked last."""
        self._trouble = "" if fence is not None else NO_RIGHT

    async def missing(self) -> bool:
        """Whether a way to a server that is guarded now is not closed yet."""
        return self._fence is not None and not await self._wanted() <= self.standing

    async def settle(self) -> None:
        """Close what is to be closed and open the rest. What can't be is noted once, and a fact."""
        if self._fence is None:
            return
        async with self._one:
            wanted = await self._wanted()
            if wanted != self._put or wanted != self.standing:
                await self._stand(self._fence, wanted)

    async def look(self) -> list[str]:
        """Read back what the kernel has; the addresses that are found open, by somebody else's hand."""
        if self._fence is None or not self.standing:
            return []
        async with self._one:
            try:
                if await self._fence.stands():
                    return []
            except StateError as error:
                self._tell(error)
            gone, self.standing = self.standing, frozenset()
        return sorted(one.where for one in gone)

    async def lift(self) -> None:
        """Open all: when Remit ends, nothing of it stays in the kernel."""
        if self._fence is not None:
            async with self._one:
                await self._stand(self._fence, frozenset())

    def closing(self, workload: Workload) -> Closing:
        """How the ways to one server are, for the facts."""
        found = self._around.get(workload.spiffe_id, Around())
        refused = bool(found.every) and found.every <= self.standing
        left = "" if refused or len(self.standing) < MAX_WAYS else TOO_MANY
        return Closing(self._choice, found, refused, self._trouble or left)

    async def _stand(self, fence: Fence, wanted: frozenset[Way]) -> None:
        """The kernel changes from one to the other at once: until then what stood before does."""
        self._put = wanted
        try:
            await fence.stand(wanted)
        except StateError as error:
            self.standing = frozenset()
            self._tell(error)
        else:
            self.standing, self._trouble = wanted, ""

    def _tell(self, error: StateError) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._note(f"direct calls to guarded servers are not refused: {error}")

    async def _wanted(self) -> frozenset[Way]:
        """What is to be closed now; as it was before when it can't be told what listens here."""
        guarded = [one for one in self._workloads.values() if one.server]
        try:
            self._around = await asyncio.to_thread(self._look, guarded)
        except AttestationError as error:
            self._tell(StateError(str(error)))
        if self._choice == OPEN:
            return frozenset()
        own = self._own()
        known = [(one.uid, self._around.get(one.spiffe_id, Around()).closable(own)) for one in guarded]
        return shares(known, self._put or frozenset(), MAX_WAYS)

    def _look(self, guarded: Iterable[Workload]) -> dict[SpiffeId, Around]:
        there = listeners()
        self._inner.look(there, guarded)
        return {
            one.spiffe_id: around(
                one, there, everywhere=self._choice == CLOSED, below=partial(self._inner.below, one)
            )
            for one in guarded
        }
