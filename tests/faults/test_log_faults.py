"""A log that can't be written: no call goes through, everyone is told why, nothing is lost."""

import contextlib
import http.client
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Remit
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.faults.world import (
    PATIENCE_SECONDS,
    Reply,
    apart,
    ask,
    chat,
    configure,
    port_of,
    processes,
    records,
    running,
    status_of,
    until,
)

PORT = 28600
SMALL = "20m"  # two writers keep 4 MiB ahead each, and grow by as much

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")


@pytest.fixture
def small_disk(state: Path) -> Iterator[Path]:
    """The audit directory on a file system of its own."""
    audit = state / "audit"
    audit.mkdir(mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=700", "tmpfs", str(audit)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"NO SMALL DISK: {done.stderr.strip()}")
    try:
        yield audit
    finally:
        subprocess.run(["umount", "-l", str(audit)], check=True)


def fill(disk: Path) -> None:
    """Take all the room there is."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass


@root
def test_a_full_disk_lets_nothing_through_and_is_said(
    state: Path, small_disk: Path, server: FakeAwkwardServer
) -> None:
    with running(state) as remit:
        port = port_of(remit)
        assert chat(port, "while there is room").status == 200
        fill(small_disk)
        reply = until_refused(port)
        assert reply.status == 503
        assert reply.json["error"]["code"] == "log-unavailable"
        assert "No space left" in reply.json["error"]["message"]
        sent = len(server.requests)
        assert {chat(port, "after it").status for _ in range(5)} == {503}
        assert ask(port).status == 503
        assert len(server.requests) == sent, "nothing moves that is not written"
        told = until(lambda: status_of(remit)["audit"]["failures"], "status says so")
        assert "No space left" in told[0]
        assert "NO CALL GOES THROUGH" in remit.run("status").stdout
        assert "No space left" in remit.event("error")["message"]
        (small_disk / "filler").unlink()
        assert chat(port, "room again").status == 503, "a failed shard stays closed until a restart"
        written = {one["id"] for one in records(state) if one["kind"] == "start" and one["outcome"] == "allowed"}
        assert len(server.prompts()) <= len(written)
    assert not processes(state)
    with running(state) as again:
        assert chat(port_of(again), "after the restart").status == 200
        assert "ok" in again.run("audit", "verify").stdout
        assert written <= {one["id"] for one in records(state) if one["kind"] == "start"}


def until_refused(port: int) -> Reply:
    """Call until the room that was made ahead is used up: unknown routes with long names make large records."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection):
        for _ in range(4000):
            connection.request("GET", "/" + "x" * 7000)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 503:
                return Reply(answer.status, {}, body)
    raise AssertionError("the disk never filled")


@root
def test_a_full_disk_at_the_start_stops_it(state: Path, small_disk: Path) -> None:
    fill(small_disk)
    remit = Remit(state)
    try:
        assert "can't be written" in remit.event("error")["message"]
        assert remit.process.wait(10) == 1
    finally:
        remit.stop()
    assert not processes(state)


@root
def test_a_read_only_log_stops_the_start(state: Path, small_disk: Path) -> None:
    with running(state):
        pass
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    remit = Remit(state)
    try:
        error = remit.event("error")
        assert "Read-only" in error["message"]
        assert error["hint"]
        assert remit.process.wait(10) == 1
    finally:
        remit.stop()
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert "ok" in remit.run("audit", "verify").stdout


def forbid_writes(pid: int, allowed: bool = False) -> None:
    """From now on the kernel refuses (EFBIG) every write of process `pid` to a file, or takes them again."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if allowed else 1, hard))


@root
def test_a_write_error_closes_the_worker_s_shard_until_a_restart(state: Path, server: FakeAwkwardServer) -> None:
    with running(state) as remit:
        port, worker = port_of(remit), status_of(remit)["workers"]["inference"]
        assert chat(port).status == 200
        sent = len(server.requests)
        forbid_writes(worker)
        assert {chat(port, stream=stream).status for stream in (False, True)} == {503}
        forbid_writes(worker, allowed=True)
        assert {chat(port).status for _ in range(3)} == {503}, "never tried again: what is on disk is not known"
        assert ask(port, "GET", "/nowhere").status == 503, "a refusal that can't be recorded says so"
        assert len(server.requests) == sent
        until(lambda: status_of(remit)["audit"]["failures"], "status says so")
        remit.process.send_signal(signal.SIGTERM)
        assert remit.process.wait(15) == 0
    with running(state) as again:
        assert chat(port_of(again)).status == 200
        assert "ok" in again.run("audit", "verify").stdout


@root
def test_when_control_can_not_write_nothing_changes_and_it_is_said(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with apart() as address:
        configure(state, PORT, address)
        check_control_without_log(state)


def check_control_without_log(state: Path) -> None:
    with running(state) as remit:
        port, status = port_of(remit), status_of(remit)
        name = status["guarded"][0]["name"]
        forbid_writes(status["pid"])
        done = remit.run("task", "start", name, "--allow", "infer", check=False)
        assert done.returncode == 1
        assert "can't be written" in done.stderr
        assert not done.stdout
        assert status_of(remit)["tasks"] == []
        told = until(lambda: status_of(remit)["audit"]["failures"], "status says so")
        assert "control" in told[0]
        (state / "policies" / "mine.cedar").write_text("forbid (principal, action, resource);\n")
        assert "can't be written" in remit.event("error")["message"]
        assert status_of(remit)["policies"]["set"] == status["policies"]["set"]
        assert chat(port).status == 200, "the last policies that are recorded decide, and the worker records"
        forbid_writes(status["pid"], allowed=True)
        remit.process.send_signal(signal.SIGTERM)
        remit.process.wait(15)
    assert not processes(state)
    assert "ok" in remit.run("audit", "verify").stdout
