"""Gateway workers that outlived the control that started them: remembered by pid and start time, found, and ended.

A worker whose control was killed goes on for its Snapshot's lifetime. A new control must end it first: it holds the
listening sockets and the zone's log.
"""

import asyncio
import json
import os
import select
import signal
from pathlib import Path
from typing import Final

from remit.errors import AttestationError, StateError
from remit.identity.attestation.procfs import read_stat

STOP_SECONDS: Final = 5.0  # it ends its open calls and closes its log within 2 s as a rule
KILLED_SECONDS: Final = 2.0
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def worker_file(run: Path, zone: str) -> Path:
    """Where the worker of `zone` is remembered."""
    return run / f"worker-{zone}.json"


def remember(path: Path, pid: int) -> None:
    """Note a worker that was just started; start time and boot tell it from any later process of that pid."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"pid": pid, "start": read_stat(pid).start, "boot": _boot()}))
    draft.replace(path)


def forget(path: Path) -> None:
    """It has ended."""
    path.unlink(missing_ok=True)


async def end_orphan(path: Path) -> int | None:
    """End the worker remembered at `path` if it still runs; its pid, or None. Raises StateError when it can't be."""
    found = _find(path)
    if found is not None:
        pid, pidfd = found
        try:
            ended = await _told(pidfd, signal.SIGTERM, STOP_SECONDS)
            if not ended and not await _told(pidfd, signal.SIGKILL, KILLED_SECONDS):
                raise StateError(f"the gateway of an earlier run (pid {pid}) does not end", hint=f"kill -9 {pid}")
        finally:
            os.close(pidfd)
    forget(path)
    return None if found is None else found[0]


def _find(path: Path) -> tuple[int, int] | None:
    """Pid and pidfd of the very process that was remembered: opened, then compared, so that none takes its place."""
    try:
        kept = json.loads(path.read_text())
        pid = int(kept["pid"])
        pidfd = os.pidfd_open(pid)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        if kept.get("boot") == _boot() and read_stat(pid).start == kept.get("start"):
            return pid, pidfd
    except AttestationError:
        pass  # it ended meanwhile
    os.close(pidfd)
    return None


async def _told(pidfd: int, number: signal.Signals, seconds: float) -> bool:
    """Signal it; whether it has ended within `seconds`. It isn't our child: whoever adopted it reaps it."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return True
    return await asyncio.to_thread(lambda: bool(select.select([pidfd], [], [], seconds)[0]))


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
