"""One coarse clock for many connections: one sweep a second instead of a timer for each request."""

import asyncio
from collections.abc import Callable
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
        self._watched: dict[W, None] = {}  # those that were of use lately last
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
        self._watched[connection] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period, self._sweep)

    def remove(self, connection: W) -> None:
        """Forgets `connection`."""
        self._watched.pop(connection, None)
        if not self._watched:
            self._stop()

    def used(self, connection: W) -> None:
        """`connection` was of use just now: of those that `make_room` tries, it comes last."""
        self._watched[connection] = self._watched.pop(connection, None)

    def make_room(self, give_way: Callable[[W], bool]) -> bool:
        """Whether one of them gave way, that which was longest of no use first. `give_way` must end none at once."""
        return any(map(give_way, self._watched))

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
