"""A command that needs a proof: it asks for it where a person is, and sends the very same request once more."""

import http.server
import json
import os
import pty
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.cli import proving
from remit.cli.proving import Needed, NotProvedError

ASK = """
import json, sys
from pathlib import Path
from remit.cli import proving
from remit.cli.client import ask
from remit.errors import RemitError
proving.POLL_SECONDS = 0.01
try:
    said = ask(Path(sys.argv[1]), "POST", "tasks", body={"on": "x", "purpose": "caf\\u00e9"})
except RemitError as error:
    said = {"error": str(error), "code": error.exit_code}
print("said=" + json.dumps(said) + "=")
"""
PROOF = {"id": "p-1", "act": "task.start", "kinds": ["passkey"]}
Answer = tuple[int, Any]


class FakeControl:
    """Answers on a unix socket what a test says, and keeps what it was asked."""

    def __init__(self, path: Path, answers: Callable[["FakeControl", str], Answer]) -> None:
        self.asked: list[tuple[str, bytes, str | None]] = []
        self.kinds = ["passkey"]
        fake = self

        class Answering(http.server.BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                fake.asked.append((f"{self.command} {self.path}", body, self.headers.get("remit-proof")))
                status, said = answers(fake, self.command)
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_: object) -> None: ...

        self.path = path
        self._server = socketserver.UnixStreamServer(str(path), Answering)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def posts(self) -> list[tuple[str, bytes, str | None]]:
        return [one for one in self.asked if one[0].startswith("POST")]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


Made = Callable[[Callable[[FakeControl, str], Answer]], FakeControl]


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Made]:
    running: list[FakeControl] = []

    def made(answers: Callable[[FakeControl, str], Answer]) -> FakeControl:
        running.append(FakeControl(tmp_path / "control.sock", answers))
        return running[-1]

    yield made
    for one in running:
        one.close()


def needs(fake: FakeControl) -> Answer:
    return 401, {"error": {"message": "needs proof", "exit_code": 3, "proof": {**PROOF, "kinds": fake.kinds}}}


def asks(path: Path) -> tuple[dict[str, Any], str]:
    """What `ask` answered in a process of its own on a terminal of its own, and all that it said."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", ASK, str(path)], environ())
    said = b""
    try:
        while piece := os.read(master, 65536):
            said += piece
    except OSError:  # EIO: it has ended (pty(7))
        pass
    os.close(master)
    os.waitpid(pid, 0)
    return result(said.decode()), said.decode()


def environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}


def result(text: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(text.rpartition("said=")[2].strip().removesuffix("="))
    return answer


def test_the_very_same_request_is_sent_once_more_with_the_proof(control: Made) -> None:
    def answers(fake: FakeControl, method: str) -> Answer:
        if method == "GET":
            return 200, {
                "standing": "granted" if len(fake.asked) > 3 else "waiting",
                "page": "http://localhost:1/proof/p-1",
            }
        return (200, {"done": True}) if fake.asked[-1][2] else needs(fake)

    fake = control(answers)
    answer, said = asks(fake.path)
    assert answer == {"done": True}
    assert "http://localhost:1/proof/p-1" in said
    first, second = fake.posts
    assert first[:2] == second[:2]
    assert (first[2], second[2]) == (None, "p-1")


def test_a_request_that_is_refused_again_is_not_sent_a_third_time(control: Made) -> None:
    def answers(fake: FakeControl, method: str) -> Answer:
        return (200, {"standing": "granted", "page": ""}) if method == "GET" else needs(fake)

    fake = control(answers)
    assert asks(fake.path)[0] == {"error": "needs proof", "code": 3}
    assert len(fake.posts) == 2


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        ((200, {"standing": "refused", "page": ""}), "refused in the local page"),
        ((404, {}), "nobody answered in time"),
    ],
)
def test_what_was_not_proved_is_not_sent_again(control: Made, standing: Answer, why: str) -> None:
    fake = control(lambda fake, method: standing if method == "GET" else needs(fake))
    assert asks(fake.path)[0] == {"error": why, "code": 3}
    assert len(fake.posts) == 1


def test_without_a_terminal_nobody_is_asked(control: Made) -> None:
    fake = control(lambda fake, _method: needs(fake))
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(fake.path)],
        capture_output=True,
        text=True,
        env=environ(),
        start_new_session=True,
        timeout=30,
        check=True,
    )
    assert result(done.stdout) == {"error": "needs proof", "code": 3}
    assert len(fake.asked) == 1


def test_where_a_password_can_t_be_asked_for_the_page_is_shown(control: Made) -> None:
    def answers(fake: FakeControl, method: str) -> Answer:
        if method == "GET":
            return 200, {"standing": "waiting" if len(fake.asked) < 6 else "granted", "page": "http://localhost:1/x"}
        return (200, {"done": True}) if fake.asked[-1][2] else needs(fake)

    fake = control(answers)
    fake.kinds = ["password", "passkey"]
    answer, said = asks(fake.path)
    assert answer == {"done": True}
    assert "http://localhost:1/x" in said


def test_a_kind_that_no_command_obtains_is_told_as_control_told_it(control: Made) -> None:
    fake = control(lambda fake, _method: needs(fake))
    fake.kinds = ["terminal"]
    assert asks(fake.path)[0] == {"error": "needs proof", "code": 3}
    assert len(fake.asked) == 1


@pytest.mark.parametrize("answer", [None, [], {}, {"error": 1}, {"error": {"message": "no"}}])
def test_an_answer_that_asks_for_no_proof_is_none(answer: Any) -> None:
    assert Needed.of(401, answer) is None
    assert Needed.of(403, {"error": {"proof": PROOF}}) is None
    assert Needed.of(401, {"error": {"proof": PROOF}}) == Needed("p-1", "task.start", ("passkey",))


def test_nobody_waits_for_ever() -> None:
    with pytest.raises(NotProvedError, match="nobody answered within 0 s"):
        proving.wait(lambda: False, 0.0)


def test_a_page_is_preferred_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    kinds = ("password", "passkey")
    assert proving._order(kinds) == kinds
    monkeypatch.setenv("DISPLAY", ":0")
    assert proving._order(kinds) == ("passkey", "password")
