"""Tells events to `remit up` without ever waiting for it: it may be stopped, or its reader slow."""

import contextlib
import json
import os
import queue
import threading
import time
from typing import Any, Final

from remit.errors import RemitError

REFUSALS_PER_SECOND: Final = 20  # more is a flood: the log has each, the terminal a count
MAX_WAITING: Final = 1000
CLOSE_SECONDS: Final = 1.0


def error_event(error: RemitError) -> dict[str, Any]:
    """What ends the process, with its exit status."""
    return {"event": "error", "message": str(error), "hint": error.hint, "exit_code": error.exit_code}


class Teller:
    """One event a line on descriptor `fd`, written by a thread of its own. `tell` never blocks.

    Refusals beyond REFUSALS_PER_SECOND, and whatever comes while MAX_WAITING events wait, are counted and left out.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._queue: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._second, self._refusals, self._left_out = 0, 0, 0
        # a daemon, because a write to a stopped reader may never return
        self._thread = threading.Thread(target=self._write, name="teller", daemon=True)
        self._thread.start()

    def tell(self, event: dict[str, Any]) -> None:
        """Queue one event; call it from one thread only."""
        if event["event"] == "refused" and not self._may_tell_refusal():
            self._left_out += 1
            return
        if self._left_out:
            event = {**event, "left_out": self._left_out}
        try:
            self._queue.put_nowait(json.dumps(event, ensure_ascii=False).encode() + b"\n")
            self._left_out = 0
        except queue.Full:
            self._left_out += 1

    def close(self) -> None:
        """Write what waits, for at most CLOSE_SECONDS."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(CLOSE_SECONDS)

    def _may_tell_refusal(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._refusals = second, 0
        self._refusals += 1
        return self._refusals <= REFUSALS_PER_SECOND

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except OSError:
                return  # nobody listens any more
