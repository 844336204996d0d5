"""Tries at the doors: the server behind them, descriptors passed on, credentials made up, too many connections."""

import array
import base64
import contextlib
import http.client
import json
import re
import socket
import struct
import subprocess
import sys
import urllib.parse
from pathlib import Path

from tests.system.hostile.kit import SECONDS, Claim, Target, attempt, call, heard, unix_get

TRUSTED = "/opt/trusted/cat"  # a program that may do what the others may not


def ask(target: Target) -> bytes:
    return f"GET /props HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nConnection: close\r\n\r\n".encode()


def answer(said: bytes) -> Claim | None:
    text = heard(said.decode(errors="replace"))
    return {"answer": text} if b"default_generation" in said else None


def _bound() -> list[str]:
    """Every unix socket here that is bound to a path."""
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return sorted({row[7] for row in rows if len(row) > 7 and row[7].startswith("/")})


@attempt(
    "raw-socket",
    "ask the guarded server at its own unix socket, past the guard",
    "answer",
    "the socket lies in a directory of Remit's own uid",
)
def raw_socket(target: Target) -> Claim | None:
    raw = str(target.ready["guarded"][0]["upstream"]).removeprefix("unix:")
    refused: OSError | None = None
    for path in [raw, *(set(_bound()) - {raw, *map(str, target.run.glob("*.sock"))})]:
        try:
            if found := answer(unix_get(path, "/props")):
                return found
        except OSError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return None


@attempt(
    "raw-port",
    "call a server of its owner's that Remit found at the server's own port, past the guard",
    "found",
    "[the fence](fence.md): the kernel refuses everybody there but Remit",
)
def raw_port(target: Target) -> Claim | None:
    raw = urllib.parse.urlsplit(target.ready["guarded"][0]["upstream"])
    for host in (str(raw.hostname), "localhost", "127.0.0.2"):
        line = http.client.HTTPConnection(host, raw.port, timeout=SECONDS)
        with contextlib.closing(line), contextlib.suppress(OSError):
            line.request("GET", "/api/version")
            return {"answer": heard(line.getresponse().read().decode())}
    return None


@attempt(
    "connect-and-exec",
    "connect, then have a trusted program inherit the connection, so that the call counts as that program's",
    "answer",
    "every holder of a connection is looked at: two that differ are refused",
)
def connect_and_exec(target: Target) -> Claim | None:
    with socket.create_connection(("127.0.0.1", target.port), SECONDS) as line:
        line.setblocking(True)  # the program that inherits it waits for the answer
        line.sendall(ask(target))
        with subprocess.Popen([TRUSTED], stdin=line.fileno(), stdout=subprocess.PIPE) as done:
            return answer(done.communicate(timeout=SECONDS)[0])


@attempt(
    "pass-socket",
    "pass a connection on to another process (SCM_RIGHTS) that asks through it",
    "answer",
    "every holder of a connection is looked at: two that differ are refused",
)
def pass_socket(target: Target) -> Claim | None:
    ours, theirs = socket.socketpair()
    code = (
        "import array,os,socket,sys\n"
        "l = socket.socket(fileno=0); d = l.recvmsg(1, 64)[1][0][2]\n"
        "f = array.array('i', d)[0]; os.dup2(f, 0); os.dup2(l.fileno(), 1)\n"
        f"os.write(f, {ask(target)!r}); os.execv({TRUSTED!r}, [{TRUSTED!r}])\n"
    )
    code = code.replace("l = socket.socket(fileno=0)", "l = socket.socket(fileno=os.dup(0))")
    with ours, socket.create_connection(("127.0.0.1", target.port), SECONDS) as line:
        line.setblocking(True)
        other = subprocess.Popen([sys.executable, "-c", code], stdin=theirs.fileno())
        theirs.close()
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [line.fileno()]))])
        ours.settimeout(SECONDS)
        said = b""
        with contextlib.suppress(TimeoutError):
            while part := ours.recv(65536):
                said += part
        other.kill()
        other.wait()
    return answer(said)


@attempt(
    "gateway-svid",
    "ask the Workload API for the SVID of the gateway, or of a workload that it is not",
    "foreign-svid",
    "the Workload API answers with what the kernel says the caller is",
)
def gateway_svid(target: Target) -> Claim | None:
    """It names itself in all ways that a caller could: metadata, path, authority."""
    paths = ("/SpiffeWorkloadAPI/FetchX509SVID", "/gateway/inference", "/inference/llama-demo")
    return svids(target, *paths)


def svids(target: Target, *paths: str) -> Claim | None:
    """The names in what the Workload API answers to each of these calls."""
    said = b""
    for path in paths:
        with contextlib.suppress(BrokenPipeError):
            said += _workload_api(target, path)
    found = sorted(set(re.findall(r"spiffe://[a-z0-9.-]+/[a-z]+/[a-z-]+", said.decode("latin-1"))))
    return {"ids": found} if found else None


def _workload_api(target: Target, path: str) -> bytes:
    """What a gRPC call without a message gets (HTTP/2 by hand: RFC 9113)."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(1)
        line.connect(str(target.run / "workload.sock"))
        start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4\0" + bytes(4)
        line.sendall(start + _grpc_headers(path) + struct.pack(">I", 5)[1:] + b"\0\1\0\0\0\1" + bytes(5))
        said = b""
        with contextlib.suppress(OSError):
            while part := line.recv(65536):
                said += part
        return said


def _grpc_headers(path: str) -> bytes:
    """A HEADERS frame (RFC 9113), its fields as literals without indexing (RFC 7541)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "gateway",
        "te": "trailers",
        "content-type": "application/grpc",
        "workload.spiffe.io": "true",
        "spiffe-id": "spiffe://x/gateway/inference",
    }
    block = b"".join(
        bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields.items()
    )
    return struct.pack(">I", len(block))[1:] + b"\1\4\0\0\0\1" + block


@attempt("made-up-token", "make up a task's token", "answer", "a token is known by the digest that Remit kept of it")
def made_up_token(target: Target) -> Claim | None:
    return answer(call(target, "/props", {"Authorization": "Bearer remit_task_" + "a" * 43})[1])


@attempt(
    "unsigned-svid", "make up a JWT-SVID of the owner, unsigned", "answer", "an SVID has a signature that verifies"
)
def unsigned_svid(target: Target) -> Claim | None:
    domain = target.ready["trust_domain"]
    parts = (
        {"alg": "none"},
        {"sub": f"spiffe://{domain}/user/ada", "aud": [target.ready["guarded"][0]["spiffe_id"]]},
    )
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return answer(call(target, "/props", {"Authorization": f"Bearer {head}.{body}."})[1])


@attempt("browser", "call as a browser page of another origin would", "models", "any `Origin` is refused")
def browser(target: Target) -> Claim | None:
    status, said = call(target, headers={"Origin": "https://example.com"})
    return {"answer": said.decode()} if status == 200 else None


@attempt(
    "rebinding", "call under another name, as a page does by DNS rebinding", "models", "`Host` is the door's own"
)
def rebinding(target: Target) -> Claim | None:
    status, said = call(target, headers={"Host": f"example.com:{target.port}"})
    return {"answer": said.decode()} if status == 200 else None
