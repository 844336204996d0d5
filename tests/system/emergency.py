"""`remit break-glass open` as root types it in a machine of a test's own, held until the test ends it."""

import queue
import threading
from typing import Any

from tests.system.machine import Machine
from tests.system.running import SystemRemit

REASON = "the policies do not parse"


class EmergencyHeld(SystemRemit):
    """As `SystemRemit`: its events, and its end."""

    def __init__(self, machine: Machine, code: str, *arguments: str) -> None:
        self.machine = machine
        self.events: list[dict[str, Any]] = []
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        command = ("remit", "break-glass", "open", "--reason", REASON, "--code-stdin", "--json", *arguments)
        self.process = machine.start(*command)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{code}\n".encode())
        self.process.stdin.flush()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def stop(self) -> int:
        self.machine.run("pkill", "-TERM", "-f", "remit break-glass open", check=False)
        return super().stop()
