"""Servers that fail in the middle of an answer, callers that go, drip, flood or pretend, on one running Remit."""

import json
import os
import resource
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from remit.gateway.limits import HEADER_BYTES
from remit.gateway.routes import profile
from tests.e2e.conftest import Remit
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.faults.world import (
    CHAT,
    ask,
    chat,
    end_of,
    raw_chat,
    read_all,
    records,
    status_of,
    until,
)

PORT = 28000
BODY_BYTES = 100_000
HEADER_SECONDS = 1.0
GATEWAY = f"body_bytes = {BODY_BYTES}\nheader_seconds = {HEADER_SECONDS}\nfirst_byte_seconds = 1\nchunk_seconds = 1\n"
NOBODY = 65534
AT_ONCE = 1.0  # seconds; a cut takes milliseconds, the machine may be busy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's socket table is asked")


def decision_in(said: bytes) -> str:
    return next(line.split(b": ")[1] for line in said.split(b"\r\n") if line.startswith(b"remit-decision")).decode()


@pytest.mark.parametrize("how", ["die", "refuse", "garbage"])
def test_a_server_that_fails_is_a_502_and_the_end_says_broken(remit: Remit, port: int, how: str) -> None:
    reply = chat(port, f"{how} please")
    assert reply.status == 502
    assert reply.json["error"]["code"] == "upstream"
    assert end_of(remit.state, reply.headers["remit-decision"])["outcome"] == "broken"
    assert chat(port, "and after it").status == 200


def test_a_server_that_dies_in_a_stream_ends_it_with_an_error_the_client_can_see(remit: Remit, port: int) -> None:
    with raw_chat(port, "die in the stream") as sock:
        said = read_all(sock)
    assert said.count(b"data: ") >= 2
    assert b'"code": "upstream"' in said
    assert not said.endswith(b"0\r\n\r\n"), "a broken answer must not look like a whole one"
    assert b"[DONE]" not in said
    assert end_of(remit.state, decision_in(said))["outcome"] == "broken"


@pytest.mark.parametrize("stream", [True, False])
def test_a_silent_server_is_a_timeout(remit: Remit, port: int, server: FakeAwkwardServer, stream: bool) -> None:
    reply = chat(port, "silent please", stream=stream)
    assert reply.status == 504
    assert end_of(remit.state, reply.headers["remit-decision"])["outcome"] == "timed_out"
    assert server.cut.acquire(timeout=AT_ONCE)


def test_a_server_that_stops_in_the_middle_is_a_timeout(remit: Remit, port: int, server: FakeAwkwardServer) -> None:
    with raw_chat(port, "hang in the stream") as sock:
        said = read_all(sock)
    assert b"in time" in said
    assert end_of(remit.state, decision_in(said))["outcome"] == "timed_out"
    assert server.cut.acquire(timeout=AT_ONCE)


@pytest.mark.parametrize("goodbye", ["close", "reset", "half"])
@pytest.mark.parametrize("prompt", ["endless stream", "silent as well"])
def test_a_client_that_hangs_up_frees_the_server_at_once(
    remit: Remit, port: int, server: FakeAwkwardServer, goodbye: str, prompt: str
) -> None:
    sent = len(server.requests)
    sock = raw_chat(port, prompt)
    if prompt.startswith("endless"):
        sock.recv(4096)
    until(lambda: len(server.requests) > sent, "the server was asked")
    if goodbye == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone = time.monotonic()
    sock.shutdown(socket.SHUT_WR) if goodbye == "half" else sock.close()
    assert server.cut.acquire(timeout=AT_ONCE)
    assert time.monotonic() - gone < AT_ONCE
    sock.close()
    start = [one for one in records(remit.state) if one["kind"] == "start" and one["outcome"] == "allowed"][-1]
    assert end_of(remit.state, start["id"])["outcome"] == "hung_up"
    assert chat(port, "and after it").status == 200


def test_headers_and_bodies_over_the_limit(port: int, server: FakeAwkwardServer) -> None:
    sent = len(server.requests)
    assert ask(port, headers={"X-Long": "x" * HEADER_BYTES}).status == 431
    assert ask(port, "POST", CHAT, b"x" * (BODY_BYTES + 1)).status == 413
    assert ask(port, "GET", "/v1/models?" + "x" * 9000).status == 414
    assert len(server.requests) == sent


def test_what_never_became_a_call_is_answered_as_a_refusal_and_counted_in_the_log(remit: Remit, port: int) -> None:
    replies = [
        ask(port, headers={"X-Long": "x" * HEADER_BYTES}),
        ask(port, "POST", CHAT, b"x" * (BODY_BYTES + 1)),
        ask(port, "GET", "/v1/models?" + "x" * 9000),
    ]
    for reply in replies:
        assert reply.headers["remit-grade"] == "C; advisory"
        assert reply.json["error"]["decision"] == reply.headers["remit-decision"]
        assert reply.json["error"]["rule"] == "remit:bad-request"
    counted = until(
        lambda: [one for one in records(remit.state) if one["kind"] == "refusals" and "longer than" in one["reason"]],
        "they are in the log",
    )
    assert counted


def test_a_chunked_body_over_the_limit(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(BODY_BYTES // 1000 + 10):
                sock.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        except ConnectionError:
            pass
        assert b" 413 " in read_all(sock)


def test_a_caller_that_drips_its_headers_is_told_and_cut_and_holds_nobody_up(port: int) -> None:
    drips = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(20)]
    head = f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Slow: ".encode()
    for sock in drips:
        sock.sendall(head)
    began = time.monotonic()
    said = b""
    while b" 408 " not in said:
        assert time.monotonic() - began < HEADER_SECONDS + 5
        drips[0].settimeout(0.1)
        try:
            drips[0].sendall(b"x")
            said += drips[0].recv(4096)
        except TimeoutError:
            assert ask(port).status == 200
    for sock in drips:
        sock.close()


IDLE = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port = int(sys.argv[1])
idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(1000)]
print("idle", flush=True)
sys.stdin.read()
idle[0].sendall(b"GET /v1/models HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n" % port)
print(idle[0].recv(12).decode(), flush=True)
"""


def test_a_thousand_idle_connections_while_another_client_is_served(port: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", IDLE, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as idle:
        assert idle.stdin is not None
        assert idle.stdout is not None
        assert idle.stdout.readline() == "idle\n"
        assert all(chat(port, f"call {n}").status == 200 for n in range(20))
        with raw_chat(port, "a stream beside them") as sock:
            assert b"[DONE]" in read_all(sock)
        idle.stdin.close()
        assert idle.stdout.readline() == "HTTP/1.1 200\n", "an idle connection is still good"


@pytest.mark.parametrize(
    "visitor",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:28000"},
        {"Host": "127.0.0.1"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:28000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_page_behind_a_rebound_name_is_refused(
    port: int, server: FakeAwkwardServer, visitor: dict[str, str]
) -> None:
    sent = len(server.requests)
    assert ask(port, headers=visitor).status in {403, 421}
    assert ask(port, "POST", CHAT, b"{}", {"Content-Type": "text/plain", **visitor}).status in {403, 421}
    assert len(server.requests) == sent


STRANGER = """
import encodings.idna, encodings.latin_1, http.client, json, os, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
answers = []
for port, rows in json.loads(sys.stdin.read()):
    for method, path in rows:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            link.request(method, path, b"{{}}" if method == "POST" else None)
            answers.append(link.getresponse().status)
        except (ConnectionError, http.client.HTTPException) as error:
            answers.append(type(error).__name__)
        link.close()
print(json.dumps(answers))
"""


def as_stranger(port: int, rows: list[tuple[str, str]]) -> list[int | str]:
    """The same requests from a process of a uid that acts for nobody."""
    done = subprocess.run(
        [sys.executable, "-c", STRANGER.format(uid=NOBODY)],
        input=json.dumps([(port, rows)]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers: list[int | str] = json.loads(done.stdout)
    return answers


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another uid")
def test_every_route_without_identity_is_refused(port: int, server: FakeAwkwardServer) -> None:
    rows = [
        (route.method, route.pattern.replace("{", "").replace("}", ""))
        for kind in ("openai", "llama.cpp", "ollama", "vllm", "lmstudio")
        for route in profile(kind).routes
    ]
    assert len(rows) > 60
    sent = len(server.requests)
    answers = as_stranger(port, [*rows, ("GET", "/nowhere"), ("GET", "/"), ("OPTIONS", "/v1/models")])
    assert set(answers) <= {401, 400}, dict(zip(rows, answers, strict=False))
    assert answers.count(401) >= len(rows)
    assert len(server.requests) == sent


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another uid")
def test_a_flood_of_strangers_is_counted_per_uid_and_second(remit: Remit, port: int) -> None:
    worker = status_of(remit)["workers"]["inference"]
    before = resident(worker)

    def counted() -> int:
        return sum(one["count"] for one in records(remit.state) if one["kind"] == "refusals" and one["uid"] == NOBODY)

    time.sleep(2)  # what strangers tried in earlier tests is counted within half a second; the log is read from disk
    already, rows = counted(), sum(one["kind"] == "refusals" for one in records(remit.state))
    assert set(as_stranger(port, [("GET", "/v1/models")] * 1500)) == {401}
    until(lambda: counted() - already >= 1500, "every refusal is counted")
    assert counted() - already == 1500
    assert sum(one["kind"] == "refusals" for one in records(remit.state)) - rows < 60
    assert resident(worker) - before < 20 << 20
    assert chat(port, "the owner still calls").status == 200


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_the_log_of_all_this_verifies(remit: Remit) -> None:
    assert "ok" in remit.run("audit", "verify").stdout
