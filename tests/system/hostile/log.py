"""Tries to make records of the log go away, or say something else, so that nobody notices."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.kit import Claim, Target, attempt, call, put_back, wait_until

STATE = "the log is Remit's own uid's"


def _shard(target: Target) -> Path:
    call(target)
    return max((target.state / "audit").glob("inference*.log"))


@attempt("truncate-log", "cut the newest records off the log", "records", STATE)
def truncate_log(target: Target) -> Iterator[Claim]:
    log = _shard(target)
    with put_back(log) as kept:
        at = kept.rstrip(b"\0").rfind(b"\n\n", 0, len(kept.rstrip(b"\0")) * 2 // 3)
        os.truncate(log, at + 2 if at > 0 else len(kept) // 2)
        yield {}


@attempt("delete-log", "delete a file of the log", "records", STATE)
def delete_log(target: Target) -> Iterator[Claim]:
    log = _shard(target)
    aside = Path("/tmp/log.aside")
    shutil.move(log, aside)
    yield {}
    shutil.move(aside, log)


@attempt("edit-log", "change a record in the log where it stands", "altered", STATE)
def edit_log(target: Target) -> Iterator[Claim]:
    log = _shard(target)
    with put_back(log) as kept:
        log.write_bytes(kept.replace(b"infer", b"embed").replace(b"list", b"lost"))
        yield {"path": str(log)}


@attempt("zero-log", "write zeros over the end of the log", "records", STATE)
def zero_log(target: Target) -> Iterator[Claim]:
    log = _shard(target)
    with put_back(log) as kept:
        half = len(kept.rstrip(b"\0")) // 2
        log.write_bytes(kept[:half] + bytes(len(kept) - half))
        yield {}


@attempt(
    "new-log",
    "end the guard, delete the whole log, and start it again, so that it begins a new one",
    "records",
    STATE,
)
def new_log(target: Target) -> Iterator[Claim]:
    pids = [
        int(one)
        for one in subprocess.run(
            ["pgrep", "-f", "remit"], capture_output=True, text=True, check=False
        ).stdout.split()
    ]
    mine = {os.getpid(), os.getppid()}
    for pid in set(pids) - mine:
        os.kill(pid, signal.SIGKILL)
    for file in (target.state / "audit").iterdir():
        file.unlink()
    subprocess.Popen(
        [target.remit, "up", "--json", "--owner", "ada"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: _answers(target), 12)
    yield {}


def _answers(target: Target) -> bool:
    try:
        return call(target)[0] > 0
    except OSError:
        return False
