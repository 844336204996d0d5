"""A small world for the Workload API: who callers are, what was written down, what time it is."""

import asyncio
from collections.abc import Sequence

from remit.errors import AuditError, IdentityError
from remit.identity import PeerCredentials, SpiffeId


class FakeIdentities:
    """Every caller is all of `ids`; with `error`, nobody can be told apart."""

    def __init__(self, *ids: str) -> None:
        self.ids = tuple(map(SpiffeId.parse, ids))
        self.error: IdentityError | None = None
        self.asked: list[PeerCredentials] = []

    async def identities(self, peer: PeerCredentials) -> Sequence[SpiffeId]:
        self.asked.append(peer)
        if self.error is not None:
            raise self.error
        return self.ids


class FakeIssuances:
    """Keeps what was written. While `open` is clear, writing takes for ever; once `full`, it fails."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, PeerCredentials, float]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.full = False

    async def issued(self, what: str, spiffe_id: SpiffeId, peer: PeerCredentials, expires: float) -> None:
        if self.full:
            raise AuditError("the disk is full")
        await self.open.wait()
        self.written.append((what, str(spiffe_id), peer, expires))


class FakeClock:
    """Unix seconds that pass when they are told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
