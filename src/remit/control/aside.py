"""Calls on descriptors that others passed: what is behind one may never answer, so none is made in the event loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from remit.errors import StateError

SECONDS: Final = 5.0
_T = TypeVar("_T")


def begun(call: Callable[[], _T]) -> "asyncio.Future[_T]":
    """What `call` returns, or the OSError it raises, from a thread that the end of this process doesn't wait for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(value: _T | None, error: OSError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)  # type: ignore[arg-type] # None only where the call returns it
        else:
            done.set_exception(error)

    def run() -> None:
        try:
            value, error = call(), None
        except OSError as failed:
            value, error = None, failed
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return done


async def aside(call: Callable[[], _T]) -> _T:
    """What it returns or raises; StateError when it takes longer than SECONDS: its thread is left to itself."""
    try:
        async with asyncio.timeout(SECONDS):
            return await begun(call)
    except TimeoutError as error:
        raise StateError("what was passed does not answer") from error
