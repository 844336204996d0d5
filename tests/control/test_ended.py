"""What the log says was ended: read from control's own shards, however old the state beside them is."""

import asyncio
import time
from pathlib import Path
from typing import Any

from remit.audit import Act, AuditLog, RootKey, WriterKey, certify, shard_name
from remit.control.ended import ended_tasks, marked_tasks, owners, withheld_workloads
from remit.detect import Label
from remit.flow import Mark
from remit.inventory import LifeState

DOMAIN = "maple.local"


def write(directory: Path, started: float, *ended: str, writer: str = "control") -> None:
    """One shard that began at `started` and ended these tasks a second later each."""
    root = RootKey.open(directory / "audit.key", directory / "audit.pub", DOMAIN)
    shard = shard_name(writer, started)
    key = WriterKey.fresh(DOMAIN, shard)
    certificate = certify(root, DOMAIN, shard, key.verifier.public, started)

    async def record() -> None:
        log = AuditLog.open(directory, key, certificate, t=started, m=time.monotonic())
        for at, task in enumerate(ended, 1):
            await log.record(Act("task.started", "t-other", None, started, 0.0, {"why": "task.ended"}), b"")
            await log.record(Act("task.ended", task, None, started + at, 0.0, {}), b"")
        log.close(t=started + 100, m=time.monotonic())

    asyncio.run(record())


def test_tasks_ended_in_any_run_since_are_found(tmp_path: Path) -> None:
    write(tmp_path, 1000.0, "t-old")
    write(tmp_path, 2000.0, "t-1", "t-2")
    write(tmp_path, 3000.0, "t-3")
    assert ended_tasks(tmp_path, 2050.0) == {"t-1": 2001.0, "t-2": 2002.0, "t-3": 3001.0}


def test_the_log_before_the_oldest_task_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, 1000.0, "t-old")
    write(tmp_path, 2000.0, "t-1")
    (tmp_path / f"{shard_name('control', 1000.0)}.log").write_bytes(b"~ altered\n")
    assert ended_tasks(tmp_path, 2000.0) == {"t-1": 2001.0}


def test_how_high_a_mark_rose_is_told_whatever_came_later(tmp_path: Path) -> None:
    marks = (("t-1", "confidential", False), ("t-1", "internal", True), ("t-2", "restricted", False))
    acts = [("task.marked", task, {"in": task, "high": high, "untrusted": odd}) for task, high, odd in marks]
    acted(tmp_path, 1000.0, *acts, ("task.started", "t-3", {"purpose": '"what":"task.marked"', "high": "restricted"}))
    found = {"t-1": Mark(Label.CONFIDENTIAL, untrusted=True), "t-2": Mark(Label.RESTRICTED)}
    assert marked_tasks(tmp_path, 0.0) == found


def acted(directory: Path, started: float, *acts: tuple[str, str, dict[str, Any]]) -> None:
    """One shard of control's with these acts."""
    root = RootKey.open(directory / "audit.key", directory / "audit.pub", DOMAIN)
    shard = shard_name("control", started)
    key = WriterKey.fresh(DOMAIN, shard)
    certificate = certify(root, DOMAIN, shard, key.verifier.public, started)

    async def record() -> None:
        log = AuditLog.open(directory, key, certificate, t=started, m=time.monotonic())
        for what, subject, facts in acts:
            await log.record(Act(what, subject, None, started, 0.0, facts), b"")
        log.close(t=started + 100, m=time.monotonic())

    asyncio.run(record())


def move(directory: Path, started: float, *moves: tuple[str, str, str]) -> None:
    """One shard of control's in which workloads were moved: what, whom, to."""
    root = RootKey.open(directory / "audit.key", directory / "audit.pub", DOMAIN)
    shard = shard_name("control", started)
    key = WriterKey.fresh(DOMAIN, shard)
    certificate = certify(root, DOMAIN, shard, key.verifier.public, started)

    async def record() -> None:
        log = AuditLog.open(directory, key, certificate, t=started, m=time.monotonic())
        for at, (what, subject, to) in enumerate(moves, 1):
            await log.record(Act(what, subject, None, started + at, 0.0, {"from": "x", "to": to}), b"")
        log.close(t=started + 100, m=time.monotonic())

    asyncio.run(record())


def test_what_was_withheld_last_is_told_and_what_was_given_back_is_not(tmp_path: Path) -> None:
    move(tmp_path, 1000.0, ("workload.retired", "a", "retired"), ("workload.suspended", "b", "suspended"))
    move(tmp_path, 2000.0, ("workload.resumed", "b", "active"), ("workload.suspended", "c", "suspended"))
    everything = {"a": (LifeState.RETIRED, 1001.0), "c": (LifeState.SUSPENDED, 2002.0)}
    assert withheld_workloads(tmp_path, 0.0) == everything
    assert withheld_workloads(tmp_path, 2050.0) == {"c": everything["c"]}


def test_whose_a_workload_became_last_is_told(tmp_path: Path) -> None:
    root = RootKey.open(tmp_path / "audit.key", tmp_path / "audit.pub", DOMAIN)
    shard = shard_name("control", 1000.0)
    key = WriterKey.fresh(DOMAIN, shard)
    certificate = certify(root, DOMAIN, shard, key.verifier.public, 1000.0)
    acts: list[tuple[str, str, str | None, dict[str, Any]]] = [
        ("workload.owned", "one", "p-ada", {"to": "owned"}),
        ("workload.owned", "two", "p-ada", {"to": "owned", "owner": "p-eve"}),
        ("workload.transferred", "one", "p-ada", {"to": "active", "owner": "p-bob"}),
        ("workload.transferred", "three", "p-bob", {"to": "active"}),
        ("workload.suspended", "one", "p-eve", {"to": "suspended"}),
        ("workload.owned", "four", None, {"to": "owned"}),
    ]

    async def record() -> None:
        log = AuditLog.open(tmp_path, key, certificate, t=1000.0, m=time.monotonic())
        for what, subject, person, facts in acts:
            await log.record(Act(what, subject, person, 1001.0, 0.0, facts), b"")
        log.close(t=1100.0, m=time.monotonic())

    asyncio.run(record())
    assert owners(tmp_path, 1000.0) == {
        "one": ("p-bob", 1001.0),
        "two": ("p-eve", 1001.0),
        "three": ("p-bob", 1001.0),
    }


def test_what_only_looks_like_a_move_is_none(tmp_path: Path) -> None:
    move(tmp_path, 1000.0, ("workload.enrolled", "a", "retired"), ("workload.left", "b", "suspended"))
    assert withheld_workloads(tmp_path, 0.0) == {}


def test_only_control_ends_tasks(tmp_path: Path) -> None:
    write(tmp_path, 1000.0, "t-1", writer="inference-0")
    assert ended_tasks(tmp_path, 0.0) == {}
