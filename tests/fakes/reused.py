"""A pid that is another process's by now: the kernel's own counter is set back, so that the next fork gets it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")  # proc_sys_kernel(5): the next process gets the number after it
TRIES = 200  # others may fork in between


def reuse(pid: int, body: Callable[[], object]) -> int:
    """Fork until a child that runs `body` has the number `pid`; that number. Its former process must be reaped."""
    for _ in range(TRIES):
        try:
            LAST_PID.write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"NO PID CAN BE REUSED: {LAST_PID} can't be written: {error.strerror}")
        child = os.fork()
        if child == 0:
            if os.getpid() == pid:
                body()
            os._exit(0)
        if child == pid:
            return child
        os.waitpid(child, 0)
    raise AssertionError(f"no process got the number {pid}")
