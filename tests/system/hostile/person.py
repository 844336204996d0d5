"""Tries to pass for the person: what they come to is a task's token that is good for something."""

import contextlib
import http.client
import json
import os
import re
import socket

from tests.system.hostile.kit import (
    SECONDS,
    Claim,
    Target,
    attempt,
    said_by,
    start_task,
    token_in,
    typed,
)

TASK = {"actions": ["disclose"], "seconds": 300, "purpose": "mine"}
PROOF = "what widens reach takes the person's password or passkey"
OFFERED = "a proof is one that was obtained, for this process, this act and these arguments"


@attempt("approve-cli", "start a task for itself with the command", "token", PROOF)
def approve_cli(target: Target) -> Claim | None:
    return token_in(said_by(*start_task(target)))


def _post(target: Target, path: str, body: dict[str, object], headers: str = "") -> str:
    """A request of its own making at control's socket."""
    content = json.dumps(body)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(SECONDS)
        line.connect(str(target.run / "control.sock"))
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
        line.sendall(f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n{content}".encode())
        return b"".join(iter(lambda: line.recv(65536), b"")).decode(errors="replace")


def _task(target: Target) -> dict[str, object]:
    return {"on": target.server, **TASK}


@attempt("approve-api", "ask control's socket for a task, without the command", "token", PROOF)
def approve_api(target: Target) -> Claim | None:
    return token_in(_post(target, "/v1/tasks", _task(target)) + _post(target, "/tasks", _task(target)))


@attempt(
    "approve-page", "post to the loopback doors as Remit's page would, its Origin and a cookie forged", "token", PROOF
)
def approve_page(target: Target) -> Claim | None:
    pages = {target.port, int(target.ready["tokens"].rpartition(":")[2])}
    pages |= {int(port) for port in re.findall(r"localhost:(\d+)", json.dumps(target.ready))}
    for port in sorted(pages):
        for path, body in (("/tasks", _task(target)), ("/proof", {"decision": "allow"}), ("/token", {})):
            door = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
            with contextlib.closing(door), contextlib.suppress(OSError, http.client.HTTPException):
                origin = f"http://localhost:{port}"
                head = {"Host": f"localhost:{port}", "Origin": origin, "Cookie": "remit=1"}
                door.request("POST", path, json.dumps(body), {**head, "Content-Type": "application/json"})
                if found := token_in(door.getresponse().read().decode(errors="replace")):
                    return found
    return None


def _waiting(said: str) -> str:
    """The id of the act that waits for its proof."""
    found = re.search(r'"id": ?"([0-9A-Za-z_-]+)"', said)
    return found[1] if found else ""


@attempt("unproved", "offer the id of a proof that was asked for and that nobody gave, twice", "token", OFFERED)
def unproved(target: Target) -> Claim | None:
    waiting = _waiting(_post(target, "/tasks", _task(target)))
    said = "".join(_post(target, "/tasks", _task(target), f"remit-proof: {waiting}\r\n") for _ in range(2))
    return token_in(said)


@attempt("made-up-proof", "offer a proof that it made up", "token", OFFERED)
def made_up_proof(target: Target) -> Claim | None:
    return token_in(_post(target, "/tasks", _task(target), "remit-proof: 01M7Y6X3Z94PQNXH8Q4M0CEXYK\r\n"))


@attempt(
    "forged-answer",
    "answer `granted` at the door where a proof is obtained, as the one who obtains it would",
    "token",
    OFFERED,
)
def forged_answer(target: Target) -> Claim | None:
    waiting = _waiting(_post(target, "/tasks", _task(target)))
    for path in target.run.glob("*.sock"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1)
            line.connect(str(path))
            for word in ({"proof": waiting, "ok": True}, {"ok": True, "why": ""}, {"grant": waiting}):
                line.sendall(json.dumps(word).encode() + b"\n")
            line.recv(4096)
    return token_in(_post(target, "/tasks", _task(target), f"remit-proof: {waiting}\r\n"))


@attempt(
    "other-acts",
    "register, own, approve, rotate, open break-glass, seal anew: whatever else widens reach",
    "act",
    PROOF,
)
def other_acts(target: Target) -> Claim | None:
    commands = (
        (
            "workload",
            "add",
            "mine",
            "--kind",
            "agent",
            "--selector",
            f"unix:uid:{os.getuid()}",
            "--selector",
            "unix:path:/usr/bin/env",
        ),
        ("workload", "retire", target.server),
        ("authority", "rotate"),
        ("break-glass", "seal"),
    )
    for words in commands:
        said = typed(["/bin/sh", "-c", '"$0" "$@" && echo it-was-done', target.remit, *words], SECONDS)
        if "it-was-done" in said:
            return {"act": " ".join(words[:2])}
        token_in(said)
    return None
