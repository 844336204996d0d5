"""Calls on descriptors that others passed: their files' systems may never answer, so nothing here waits for long."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from remit.errors import StateError

SECONDS: Final = 5.0
_T = TypeVar("_T")


async def aside(call: Callable[[], _T]) -> _T:
    """What `call` returns or raises, in a thread of its own that the end of this process doesn't wait for.

    Raises StateError when it takes longer than SECONDS: the thread is left to itself then.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(value: _T | None, error: BaseException | None) -> None:
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
        loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    try:
        async with asyncio.timeout(SECONDS):
            return await done
    except TimeoutError as error:
        raise StateError("what was passed does not answer") from error
