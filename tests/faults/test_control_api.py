"""Every route of the control API, tried by somebody who may not, and by programs that are no person."""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.routing import APIRoute

from remit.control import api
from remit.control.desk import Desk
from remit.control.visitor import NotAdmittedError
from remit.identity import PeerCredentials
from remit.inventory.lifecycle import Verb
from tests.e2e.conftest import Remit
from tests.faults.world import ready_of, records, status_of

PORT = 28800
NOBODY = 65534
BODIES = {
    "/tasks": {"on": "x", "actions": ["infer"], "seconds": 60},
    "/tasks/{task_id}": {"why": "x"},
    "/tasks/{task_id}/extend": {"seconds": 60},
    "/tasks/{task_id}/say": {"text": "x"},
    "/workloads": {"name": "x", "kind": "agent", "selectors": []},
    "/workload/facts": {},
    "/break-glass": {"reason": "the policies are broken", "seconds": 60},
    "/passkeys": {"label": "x"},
    "/approvals/{approval_id}/approve": {"digest": "x"},
    "/approvals/{approval_id}/deny": {},
    "/break-glass/review": {"opening": "bg-0", "note": "looked at it all"},
}


class NobodyComesIn(Desk):
    """A desk that admits nobody, and answers nothing."""

    def __init__(self) -> None:
        self.asked = 0

    async def admit(self, peer: PeerCredentials) -> Any:
        self.asked += 1
        raise NotAdmittedError(f"uid {peer.uid} may not")

    def __getattribute__(self, name: str) -> Any:
        assert name in {"asked", "admit", "__class__", "__dict__"}, f"`{name}` was used before anybody was admitted"
        return super().__getattribute__(name)


def routes() -> list[tuple[str, str]]:
    built = api.build(NobodyComesIn())
    found = [
        (method, route.path)
        for route in built.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    assert len(found) == len(built.routes), "every route of the API is known here, none is a page or a file"
    return found


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


def call(path: str, method: str, target: str, body: Any = None) -> tuple[int, bytes]:
    connection = UnixConnection(path)
    try:
        connection.request(
            method, target, None if body is None else json.dumps(body), {"content-type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_there_are_routes_to_try() -> None:
    assert ("POST", "/stop") in routes()
    assert len(routes()) >= 8


@pytest.mark.parametrize(("method", "path"), routes())
def test_no_route_answers_before_its_caller_is_admitted(method: str, path: str, tmp_path: Path) -> None:
    desk = NobodyComesIn()

    async def ask() -> tuple[int, bytes]:
        socket_path = tmp_path / "api.sock"
        close = await api.serve(api.build(desk), socket_path)
        try:
            target = path.replace("{", "").replace("}", "") + ("?what=1" if path == "/whois" else "")
            return await asyncio.to_thread(call, str(socket_path), method, target, BODIES.get(path))
        finally:
            await close()

    status, body = asyncio.run(ask())
    assert status == 403, body
    assert desk.asked == 1


STRANGER = """
import encodings.idna, http.client, json, os, socket, sys
rows, path = json.loads(sys.stdin.read())
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
answers = []
for method, target, body in rows:
    link = http.client.HTTPConnection("localhost", timeout=10)
    link.sock = socket.socket(socket.AF_UNIX)
    try:
        link.sock.connect(path)
        link.request(method, target, None if body is None else json.dumps(body))
        answers.append(link.getresponse().status)
    except PermissionError:
        answers.append("no permission")
    link.close()
print(json.dumps(answers))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another uid")
@pytest.mark.parametrize("opened", [False, True])
def test_another_uid_is_refused_on_every_route_also_when_the_socket_was_opened_to_all(
    remit: Remit, opened: bool
) -> None:
    sock = Path(ready_of(remit)["api"])
    way = [sock, *sock.parents]
    modes = {path: path.stat().st_mode & 0o7777 for path in way if str(path) not in {"/", "/tmp"}}
    rows = [
        (method, path.replace("{", "").replace("}", "") + ("?what=1" if path == "/whois" else ""), BODIES.get(path))
        for method, path in routes()
    ]
    try:
        if opened:
            for path, mode in modes.items():
                path.chmod(mode | (0o666 if path == sock else 0o711))
        done = subprocess.run(
            [sys.executable, "-c", STRANGER.format(uid=NOBODY)],
            input=json.dumps([rows, str(sock)]),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == ({403} if opened else {"no permission"})
    assert status_of(remit)["tasks"] == []


def test_nonsense_is_refused_and_harms_nobody(remit: Remit) -> None:
    path = cast("str", ready_of(remit)["api"])
    assert call(path, "GET", "/nowhere")[0] == 404
    assert call(path, "GET", "/openapi.json")[0] == 404
    assert call(path, "GET", "/docs")[0] == 404
    assert call(path, "POST", "/tasks", {"actions": ["infer"]})[0] == 422
    assert call(path, "POST", "/tasks", {"on": "x", "actions": ["infer"], "seconds": 60, "person": "root"})[0] == 422
    assert call(path, "GET", "/whois?what=" + "x" * 3000)[0] == 422
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(b"\x00\xff not http\r\n\r\n")
        sock.settimeout(5)
        assert b"400" in sock.recv(1000)
    assert status_of(remit)["workers"]


def test_a_governed_workload_widens_nothing(remit: Remit) -> None:
    """This very process is the guarded server here: what it asks for is no person's word, whatever the route."""
    path, name = ready_of(remit)["api"], ready_of(remit)["guarded"][0]["name"]
    asked: dict[str, list[tuple[str, dict[str, Any] | None]]] = {
        "/tasks": [("/tasks", {"on": name, "actions": ["administer"], "seconds": 60})],
        "/tasks/{task_id}/extend": [("/tasks/t-0/extend", {"seconds": 60})],
        "/tasks/{task_id}/say": [("/tasks/t-0/say", {"text": "mail it to eve"})],
        "/session": [("/session", {"seconds": 60, "id_token": "", "nonce": ""})],
        "/session/nonce": [("/session/nonce", None)],
        "/stop": [("/stop", None)],
        "/workload/{verb}": [(f"/workload/{verb}?name={name}&to=x", None) for verb in Verb],
        "/workloads": [("/workloads", {"name": "x", "kind": "agent", "selectors": ["unix:path:/opt/x"]})],
        "/workload/facts": [(f"/workload/facts?name={name}", {"environment": "prod"})],
        "/models/approve": [("/models/approve", {"model": "m", "on": name})],
        "/authority/rotate": [("/authority/rotate", None)],
        "/break-glass": [("/break-glass", {"reason": "the policies are broken", "seconds": 60, "code": "x"})],
        "/break-glass/close": [("/break-glass/close", None)],
        "/break-glass/review": [("/break-glass/review", {"opening": "bg-0", "note": "looked at it all"})],
        "/break-glass/seal": [("/break-glass/seal", None)],
        "/passkeys": [("/passkeys", {"label": "x"})],
        "/approvals/{approval_id}/approve": [("/approvals/ap-0/approve", {"digest": "x"})],
        "/approvals/{approval_id}/deny": [("/approvals/ap-0/deny", {"why": "x"})],
    }
    assert set(asked) == {route for method, route in routes() if method == "POST"}, (
        "each route that may widen is tried"
    )
    for tries in asked.values():
        for target, body in tries:
            status, said = call(path, "POST", target, body)
            assert (status, b"governed workload" in said) == (403, True), (target, said)
    acts = {one["what"] for one in records(remit.state) if one["kind"] == "act"}
    widening = {"task.started", "model.approved", "authority.prepared", "workload.suspended"}
    assert acts.isdisjoint(widening | {"workload.registered", "workload.declared", "workload.transferred"})
