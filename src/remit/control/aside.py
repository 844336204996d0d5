"""Calls on descriptors that others passed: what is behind one may never answer, so none is made in the event loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from remit.errors import RemitError, StateError

SECONDS: Final = 5.0
_T = TypeVar("_T")


def begun(call: Callable[[], _T]) -> "asyncio.Future[_T]":
    """What `call` returns, or the OSError or RemitError it raises, from a thread of its own.

    The end of this process doesn't wait for it, nor does what others do in threads.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(value: _T | None, error: OSError | RemitError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)  # type: ignore[arg-type] # None only where the call returns it
        else:
            done.set_exception(error)

    def run() -> None:
        value, error = None, None
        try:
            value = call()
        except (OSError, RemitError) as failed:
            error = failed
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return done


async def in_time(done: "asyncio.Future[_T]") -> _T:
    """What it gives; StateError when that takes longer than SECONDS: then its thread goes on."""
    try:
        async with asyncio.timeout(SECONDS):
            return await asyncio.shield(done)
    except TimeoutError as error:
        raise StateError("what was passed does not answer", hint="run it in a terminal") from error
