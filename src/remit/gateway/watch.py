"""One coarse clock for many connections: one sweep a second instead of a timer for each request."""

import asyncio
from typing import Generic, Protocol, TypeVar


class Watched(Protocol):
    """A connection that knows its own deadlines."""

    def sweep(self, now: float) -> None:
        """Ends itself if a deadline of its own has passed at `now` (seconds on the event loop's clock)."""


W = TypeVar("W", bound=Watched)


class Watch(Generic[W]):
    """The open connections of one listener or client, swept every `period` seconds while there are any."""

    def __init__(self, period: float) -> None:
        self.held = 0
        """Body bytes held over all of them."""
        self._period = period
        self._watched: set[W] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def all(self) -> tuple[W, ...]:
        """Those open now."""
        return tuple(self._watched)

    def add(self, connection: W) -> None:
        """Sweeps `connection` from now on."""
        self._watched.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period, self._sweep)

    def remove(self, connection: W) -> None:
        """Forgets `connection`."""
        self._watched.discard(connection)
        if not self._watched:
            self._stop()

    async def emptied(self) -> None:
        """Waits until none is left."""
        while self._watched:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._period, self._sweep)
        now = loop.time()
        for connection in self.all:
            connection.sweep(now)
