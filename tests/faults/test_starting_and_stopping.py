"""Starting twice, on a taken port, with a broken configuration or policy; and every way to be told to stop."""

import json
import os
import pty
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.config import Places
from tests.e2e.conftest import ME, REMIT, Remit
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.faults.world import (
    apart,
    chat,
    configure,
    kill,
    kill_all,
    port_of,
    processes,
    raw_chat,
    read_all,
    records,
    running,
    status_of,
    until,
)

PORT = 28400
BROKEN = "permit (principal, action, resource)\nwhen { context.nothing == };\n"


def refused_start(state: Path) -> tuple[dict[str, Any], int]:
    """The error that a start ends with, and its exit status; it leaves nothing running."""
    remit = Remit(state)
    try:
        error = remit.event("error")
        status = remit.process.wait(15)
    finally:
        remit.stop()
    assert not processes(state)
    assert not run_of(state).exists()
    return error, status


def test_two_ups_in_the_same_instant_one_wins_and_the_others_say_where(state: Path) -> None:
    remits = [Remit(state) for _ in range(3)]
    try:
        first: dict[int, dict[str, Any]] = {}

        def watch(number: int, remit: Remit) -> None:
            while number not in first:
                event = remit._queue.get(timeout=30)
                if event is not None and event["event"] in {"ready", "error"}:
                    first[number] = event

        threads = [threading.Thread(target=watch, args=pair) for pair in enumerate(remits)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
        assert sorted(event["event"] for event in first.values()) == ["error", "error", "ready"]
        for number, event in first.items():
            if event["event"] == "error":
                assert "already runs" in event["message"]
                assert f"http://127.0.0.1:{PORT}" in event["message"]
                assert remits[number].process.wait(10) == 1
    finally:
        for remit in remits:
            remit.stop()
    assert not processes(state)


def test_a_run_file_of_a_killed_instance_is_not_believed(state: Path, server: FakeAwkwardServer) -> None:
    with running(state) as first:
        kill_all(first)
    done = first.run("status", check=False)
    assert done.returncode == 1
    assert "not running" in done.stderr
    with running(state) as second:
        assert chat(port_of(second)).status == 200


def test_a_taken_port_is_passed_over_and_said(state: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", PORT))
        taken.listen()
        with running(state) as remit:
            assert port_of(remit) == PORT + 1
            said = [event["text"] for event in remit.events if event["event"] == "note"]
            assert any(f"port {PORT} is taken" in text and f":{PORT + 1}" in text for text in said)
            assert chat(PORT + 1).status == 200


def test_a_named_server_that_does_not_answer_is_said(tmp_path: Path) -> None:
    state = tmp_path / "state"
    configure(state, PORT, "http://127.0.0.1:9")
    with running(state) as remit:
        said = [event["text"] for event in remit.events if event["event"] == "note"]
        assert any("http://127.0.0.1:9" in text and "does not answer" in text for text in said)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("gatway = 1", "unknown key `gatway`", "`gateway`"),
        ("[gateway]\nprot = 1", "unknown key `gateway.prot`", "`gateway.port`"),
        ("[gateway\n", "is not TOML", ""),
        ("[gateway]\nport = 'x'", "`gateway.port` must be a int", ""),
        ("[discovery]\nlook = false\nservers = ['ftp://x']", "ftp://x", ""),
    ],
)
def test_a_configuration_that_can_not_be_used(state: Path, text: str, said: str, hint: str) -> None:
    (state / "config.toml").write_text(text)
    error, status = refused_start(state)
    assert said in error["message"]
    assert hint in error["hint"]
    assert status == 2


def test_a_configuration_that_can_not_be_read(state: Path) -> None:
    (state / "config.toml").unlink()
    (state / "config.toml").mkdir()
    error, status = refused_start(state)
    assert "can't be read" in error["message"]
    assert status == 2


def test_a_policy_that_does_not_parse_stops_the_start_with_its_place(state: Path) -> None:
    (state / "policies").mkdir()
    (state / "policies" / "mine.cedar").write_text(BROKEN)
    error, status = refused_start(state)
    assert "mine.cedar:2:" in error["message"]
    assert status == 2


def test_no_policy_at_all_stops_the_start(state: Path) -> None:
    (state / "policies").mkdir()
    error, status = refused_start(state)
    assert "polic" in error["message"]
    assert status != 0


def run_of(state: Path) -> Path:
    """Where the sockets are: below /tmp when this path is too long for a socket's address."""
    return Places.of(state, {}).run


@pytest.fixture(params=["near", "far"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A state directory whose sockets are in it, and one whose sockets can't be."""
    if request.param == "far":
        yield tmp_path / "state"
    else:
        with tempfile.TemporaryDirectory(prefix="remit-test-") as short:
            yield Path(short)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "down"])
def test_a_clean_stop_leaves_nothing_of_the_run(place: Path, how: str) -> None:
    configure(place, PORT, None)  # the demonstration server: its socket is one more thing to leave
    run = run_of(place)
    assert run.is_relative_to(place) == (len(str(place)) < 50)
    with running(place) as remit:
        assert len(list(run.rglob("*"))) >= 6
        if how == "down":
            remit.run("down")
            assert not run.exists()  # at once: it says so when it is so
        else:
            remit.process.send_signal(signal.Signals[how])
        assert remit.process.wait(15) == 0
    assert not run.exists()
    kept = {
        "audit",
        "audit.key",
        "break-glass",
        "cache",
        "config.toml",
        "digest.key",
        "keys",
        "lock",
        "policies",
        "state.db",
    }
    assert {one.name for one in place.iterdir()} == kept


def test_the_next_start_removes_what_a_killed_one_left(place: Path, server: FakeAwkwardServer) -> None:
    configure(place, PORT, None)
    run = run_of(place)
    with running(place) as first:
        doors = set(run.glob("llama-demo.sock"))
        kill_all(first)
    assert doors
    assert (run / "demo" / "model.sock").exists()
    configure(place, PORT, server.url)
    with running(place):
        assert not (run / "demo").exists()
        assert not doors & set(run.iterdir())
    assert not run.exists()


def gone(state: Path, remit: Remit) -> None:
    """Everything has ended, the sockets are gone, the log is whole and closed."""
    until(lambda: not processes(state), "nothing is left running")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", PORT), 5)
    assert not run_of(state).exists()
    assert "ok" in remit.run("audit", "verify").stdout
    assert [one["kind"] for one in records(state)].count("closed") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_also_with_a_call_under_way(
    state: Path, server: FakeAwkwardServer, number: signal.Signals
) -> None:
    with running(state) as remit:
        sock = raw_chat(PORT, "endless until it stops")
        sock.recv(1000)
        remit.process.send_signal(number)
        assert remit.process.wait(15) == 0
        read_all(sock)
        sock.close()
        assert server.cut.acquire(timeout=5)
        gone(state, remit)
    ends = [one["outcome"] for one in records(state) if one["kind"] == "end"]
    assert ends[-1] == "cut"


def full(address: str) -> list[socket.socket]:
    """Connections that fill a stopped server's queue: the next one is not taken."""
    taken, host, port = [], *address.removeprefix("http://").split(":")
    for _ in range(1000):
        sock = socket.socket()
        sock.settimeout(0.3)
        taken.append(sock)
        try:
            sock.connect((host, int(port)))
        except TimeoutError:
            return taken
    raise AssertionError("its queue has no end")


def test_a_call_that_waits_for_its_server_to_take_it_has_its_end_in_the_log(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with apart() as address:
        configure(state, PORT, address)
        with running(state) as remit:
            server = status_of(remit)["guarded"][0]["pid"]
            os.kill(server, signal.SIGSTOP)
            waiting = [*full(address), raw_chat(port_of(remit), "hello")]
            until(lambda: any(one["kind"] == "start" for one in records(state)), "the call is recorded")
            remit.stop()
            for sock in waiting:
                sock.close()
    started = [one["id"] for one in records(state) if one["kind"] == "start"]
    assert started == [one["id"] for one in records(state) if one["kind"] == "end" and one["outcome"] == "cut"]


def test_ctrl_c_on_a_terminal_stops_everything(state: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(REMIT, [REMIT, "up", "--state", str(state), "--owner", ME])
    said = b""

    def read() -> bool:
        nonlocal said
        said += os.read(terminal, 65536)
        return b"Ctrl-C" in said

    until(read, "it says how to stop it", 30)
    os.write(terminal, b"\x03")
    try:
        while piece := os.read(terminal, 65536):
            said += piece
    except OSError:
        pass  # the terminal's other side is closed
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"stopped" in said
    assert b"Traceback" not in said
    assert not processes(state)
    assert not run_of(state).exists()


def test_remit_down_stops_everything(tmp_path: Path) -> None:
    state = tmp_path / "state"
    configure(state, PORT, None)  # the demonstration server: this test may not be the process that is guarded
    with running(state) as remit:
        remit.run("down")
        assert remit.process.wait(15) == 0
        gone(state, remit)
        done = remit.run("down", check=False)
        assert done.returncode == 1
        assert "not running" in done.stderr


def test_a_killed_up_takes_control_with_it(state: Path) -> None:
    with running(state) as remit:
        kill(remit.process.pid)
        remit.process.wait(5)
        gone(state, remit)


def test_control_ends_when_its_standard_input_closes(state: Path) -> None:
    command = [str(Path(REMIT).with_name("python")), "-I", "-m", "remit.app", "control", "--owner", ME]
    with subprocess.Popen(
        [*command, "--state", str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as control:
        assert control.stdin is not None
        assert control.stdout is not None
        events = (json.loads(line) for line in control.stdout)
        assert next(event for event in events if event["event"] == "ready")
        control.stdin.close()
        assert [event["event"] for event in events][-1] == "stopped"
        assert control.wait(10) == 0
    assert not processes(state)


def test_told_to_stop_at_any_moment_of_the_start(state: Path) -> None:
    for delay in (0.05, 0.3, 0.6, 0.9, 1.2, 1.5):
        remit = Remit(state)
        time.sleep(delay)
        assert remit.stop() in {0, -signal.SIGTERM}, delay
        until(lambda: not processes(state), f"nothing is left after {delay} s", 10)
    with running(state) as last:
        assert "ok" in last.run("audit", "verify").stdout


def test_a_second_up_does_not_disturb_the_first(state: Path) -> None:
    with running(state) as remit:
        refused = Remit(state)
        assert f":{PORT}" in refused.event("error")["message"]
        refused.stop()
        assert chat(PORT).status == 200
        assert status_of(remit)["workers"]
