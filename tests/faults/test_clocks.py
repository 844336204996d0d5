"""Clocks that jump: what is counted by the second, what ends by the clock, and what must not."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from remit.audit import AuditLog, RootKey, WriterKey, certify, shard_name
from remit.gateway.call import Call, decision_id
from remit.gateway.unidentified import MAX_KEYS, Unidentified
from remit.identity import SpiffeId
from remit.tasks import Task

HERE = SpiffeId.parse("spiffe://here.local/inference/one")
NOW = 1_700_000_000.0


class FakeClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    root = RootKey.open(tmp_path / "root.key", tmp_path / "audit.pub", "here.local")
    shard = shard_name("inference-0", NOW)
    key = WriterKey.fresh("here.local", shard)
    certificate = certify(root, "here.local", shard, key.verifier.public, NOW)
    return AuditLog.open(tmp_path, key, certificate, t=NOW, m=0.0)


def refusals(log: AuditLog) -> list[dict[str, Any]]:
    log.close(t=NOW, m=0.0)
    lines = log.path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines if line.startswith(b'{"kind":"refusals"')]


def test_strangers_are_counted_once_whatever_the_clock_does(log: AuditLog) -> None:
    clock = FakeClock()
    strangers = Unidentified(log, clock, lambda: 0.0)
    for jump in (0, 0, 3600, -7200, 0.4, -0.4, 86400):
        clock.now += jump
        strangers.count(1234, "nobody")
    strangers.flush()
    written = refusals(log)
    assert sum(one["count"] for one in written) == 7
    assert len(written) == len({(one["uid"], one["second"]) for one in written})


def test_many_uids_in_one_second_take_bounded_memory(log: AuditLog) -> None:
    strangers = Unidentified(log, FakeClock(), lambda: 0.0)
    for uid in range(5 * MAX_KEYS):
        strangers.count(uid, "nobody" * 100)
        assert len(strangers._counts) <= MAX_KEYS
    strangers.flush()
    assert sum(one["count"] for one in refusals(log)) == 5 * MAX_KEYS


def test_a_duration_comes_from_the_clock_that_does_not_jump() -> None:
    call = Call.begin(HERE, NOW + 10 * 365 * 86400, time.monotonic() - 1.0, lambda _: None)
    assert 990 < call.end("done").duration_ms < 60_000


def test_decision_ids_sort_by_time_and_never_repeat_when_it_stands_still() -> None:
    assert decision_id(NOW) < decision_id(NOW + 1) < decision_id(NOW + 86400)
    assert len({decision_id(NOW) for _ in range(1000)}) == 1000
    assert all(len(decision_id(when)) == 26 for when in (0.0, NOW, 2**40 / 1000))


def test_a_task_has_ended_for_good_also_when_the_clock_goes_back() -> None:
    task = Task("t-1", "mia", HERE, ("infer",), "", NOW, NOW + 60, "x", "uid", ended=NOW + 30)
    assert [task.live(NOW + seconds) for seconds in (40, 20, 0, -3600)] == [False] * 4


def test_a_task_is_not_prolonged_before_its_beginning() -> None:
    task = Task("t-1", "mia", HERE, ("infer",), "", NOW, NOW + 60, "x", "uid")
    assert task.live(NOW + 59)
    assert not task.live(NOW + 60)


def test_the_chain_of_shards_survives_a_clock_that_went_back(tmp_path: Path) -> None:
    root = RootKey.open(tmp_path / "root.key", tmp_path / "audit.pub", "here.local")
    for started in (NOW, NOW - 86400, NOW + 5):
        shard = shard_name("inference-0", started)
        key = WriterKey.fresh("here.local", shard)
        certificate = certify(root, "here.local", shard, key.verifier.public, started)
        AuditLog.open(tmp_path, key, certificate, t=started, m=0.0).close(t=started, m=0.0)
    headers = [json.loads(path.read_bytes().split(b"\n")[0]) for path in sorted(tmp_path.glob("*.log"))]
    assert sum(header["previous"] is None for header in headers) == 1
    assert len({json.dumps(header["previous"]) for header in headers}) == 3
