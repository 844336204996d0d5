"""Tries at the doors: raw ports, descriptors passed on, places taken over, too many connections, a full disk."""

import array
import base64
import contextlib
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from tests.system.hostile.kit import SECONDS, Target, attempt, call, is_alive, said_by, unix_get

ASK = "GET /props HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n"


def _bound(target: Target) -> list[str]:
    """Every unix socket here that is bound to a path and is none of Remit's doors."""
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    known = {f"{target.run}/{name}.sock" for name in ("control", "workload", "person", target.server)}
    return sorted({row[7] for row in rows if len(row) > 7 and row[7].startswith("/")} - known)


@attempt("raw-port", "ask the guarded server at its own socket or port, past the guard")
def raw_port(target: Target) -> str:
    raw = str(target.ready["guarded"][0]["upstream"]).removeprefix("unix:")
    for path in {raw, *_bound(target)}:
        if b"default_generation" in unix_get(path, "/props"):
            return "the server answered GET /props, unguarded"
    return ""


@attempt("connect-and-exec", "connect, then execute a trusted program that inherits the connection")
def connect_and_exec(target: Target) -> str:
    with socket.create_connection(("127.0.0.1", target.port), SECONDS) as line:
        os.set_inheritable(line.fileno(), True)
        shell = f"printf '{ASK}' >&{line.fileno()}; cat <&{line.fileno()}"
        done = subprocess.run(
            ["/bin/sh", "-c", shell], close_fds=False, capture_output=True, timeout=SECONDS, check=False
        )
    return "its call was answered" if b"default_generation" in done.stdout else ""


@attempt("pass-socket", "pass a connection on to another process (SCM_RIGHTS) that asks through it")
def pass_socket(target: Target) -> str:
    ours, theirs = socket.socketpair()
    code = (
        "import array,socket\n"
        "l = socket.socket(fileno=0); d = l.recvmsg(1, 64)[1][0][2]\n"
        "s = socket.socket(fileno=array.array('i', d)[0])\n"
        f"s.sendall(b'{ASK}')\n"
        "while (b := s.recv(65536)): l.sendall(b)\n"
    )
    with ours, socket.create_connection(("127.0.0.1", target.port), SECONDS) as line:
        other = subprocess.Popen([sys.executable, "-c", code], stdin=theirs.fileno())
        theirs.close()
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [line.fileno()]))])
        ours.settimeout(SECONDS)
        said = b"".join(iter(lambda: ours.recv(65536), b""))
        other.wait(SECONDS)
    return "its call was answered" if b"default_generation" in said else ""


@attempt("workload-api", "ask the Workload API for an SVID of the owner or the gateway")
def workload_api(target: Target) -> str:
    path = str(target.run / "workload.sock")
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(3)
        line.connect(path)
        line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9).replace(b"\0" * 9, b"\0\0\0\4\0\0\0\0\0"))
        line.sendall(_grpc_headers() + struct.pack(">I", 5)[1:] + b"\0\1\0\0\0\1" + bytes(5))
        said = b""
        with contextlib.suppress(TimeoutError):
            while len(said) < 65536:
                said += line.recv(65536)
    return "it was given the SVID of a person" if b"/user/" in said or b"/gateway" in said else ""


def _grpc_headers() -> bytes:
    """A HEADERS frame (RFC 9113), its fields as literals without indexing (RFC 7541)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/SpiffeWorkloadAPI/FetchX509SVID",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "workload.spiffe.io": "true",
    }
    block = b"".join(
        bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields.items()
    )
    return struct.pack(">I", len(block))[1:] + b"\1\4\0\0\0\1" + block


@attempt("foreign-token", "make up a task's token and a JWT-SVID without a signature")
def foreign_token(target: Target) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(b'{"sub":"spiffe://x/user/ada"}').decode().rstrip("=")
    for token in (f"{head}.{body}.", "remit_task_" + "a" * 43):
        if call(target, "/props", {"Authorization": f"Bearer {token}"})[0] == 200:
            return "its token was taken"
    return ""


@attempt("browser", "call as a browser page would, from another origin")
def browser(target: Target) -> str:
    status, _ = call(target, headers={"Origin": "https://example.com"})
    return "a page of another origin was answered" if status == 200 else ""


@attempt("take-sockets", "rename its own socket over a guarded server's door")
def take_sockets(target: Target) -> str:
    door, mine = Path(target.ready["guarded"][0]["unix"]), Path("/tmp/mine.sock")
    aside = door.with_suffix(".aside")
    mine.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(mine))
        door.rename(aside)
        try:
            mine.rename(door)
            return "callers of the door reach its socket"
        finally:
            aside.replace(door)


@attempt("take-ports", "bind the guarded door's port beside the guard (SO_REUSEPORT)")
def take_ports(target: Target) -> str:
    with socket.socket() as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        mine.bind(("127.0.0.1", target.port))
        mine.listen()
    return "callers of the port may reach its socket"


@attempt("second-remit", "start a second Remit on the same state")
def second_remit(target: Target) -> str:
    said = said_by("timeout", "6", target.remit, "up", "--json", "--owner", "ada")
    return "two of them run on one state" if '"event": "ready"' in said and '"pid"' in said else ""


@attempt("many-connections", "hold every connection that control and the gateway take")
def many_connections(target: Target) -> str:
    held: list[socket.socket] = []
    try:
        for path in ("control.sock", "workload.sock"):
            for _ in range(1500):
                line = socket.socket(socket.AF_UNIX)
                held.append(line)
                line.settimeout(0.2)
                line.connect(str(target.run / path))
    except OSError:
        pass
    with contextlib.suppress(OSError):
        held += [socket.create_connection(("127.0.0.1", target.port), 0.2) for _ in range(1500)]
    try:
        return "" if is_alive(target) else "the guard answers nobody meanwhile"
    finally:
        for line in held:
            line.close()


@attempt("fill-state", "write a big file where Remit keeps its state")
def fill_state(target: Target) -> str:
    mine = target.state / "mine"
    with mine.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 64 << 20)
    mine.unlink()
    return "wrote 64 MB on Remit's disk"
