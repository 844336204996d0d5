"""Tries to pass for the person: every one ends in a task's token that is good for something, or has failed."""

import contextlib
import http.client
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.system.hostile.kit import SECONDS, Target, attempt, said_by, start_task, used

TASK = json.dumps({"workload": "NAME", "actions": ["disclose"], "seconds": 300, "purpose": "mine"})


@attempt("approve-cli", "start a task for itself with the command")
def approve_cli(target: Target) -> str:
    return used(target, said_by(*start_task(target)))


@attempt("approve-setsid", "leave its session and its parents (setsid, double fork), then use the command")
def approve_setsid(target: Target) -> str:
    out = Path("/tmp/orphan-said")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.2)
            out.with_suffix(".part").write_text(said_by(*start_task(target)))
            out.with_suffix(".part").rename(out)
        os._exit(0)
    os.wait()
    deadline = time.monotonic() + SECONDS
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    said = out.read_text()
    out.unlink()
    return used(target, said)


def _typed(command: list[str], seconds: float = 8.0) -> str:
    """What a command says on a terminal that this program holds, which types what it is shown to type."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    said, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.5)[0]:
            word = said.split()[-1].strip(b"`'\":.") if said.split() else b""
            os.write(terminal, b"y\n" if b"[y/" in said[-20:] else word + b"\n")
            continue
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    os.waitpid(pid, 0)
    return said.decode(errors="replace")


@attempt("approve-pty", "start a task on a terminal it made itself, and type what is asked for")
def approve_pty(target: Target) -> str:
    return used(target, _typed(start_task(target)))


@attempt("approve-script", "start a task under script(1)")
def approve_script(target: Target) -> str:
    return used(target, said_by("script", "-qec", " ".join(start_task(target)), "/dev/null"))


@attempt("approve-page", "post to the loopback doors as the page would, with a forged Origin and cookie")
def approve_page(target: Target) -> str:
    for port in (target.port, target.port - 1):
        door = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        with contextlib.closing(door):
            origin = f"http://127.0.0.1:{port}"
            head = {"Origin": origin, "Cookie": "session=1", "Content-Type": "application/json"}
            door.request("POST", "/v1/tasks", TASK.replace("NAME", target.server), head)
            found = used(target, door.getresponse().read().decode(errors="replace").replace('"', " "))
        if found:
            return found
    return ""


def _post(target: Target, headers: str = "") -> str:
    body = TASK.replace("NAME", target.server)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(SECONDS)
        line.connect(str(target.run / "control.sock"))
        head = f"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
        line.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        return b"".join(iter(lambda: line.recv(65536), b"")).decode(errors="replace").replace('"', " ")


@attempt("approve-api", "ask control's socket for a task, without the command")
def approve_api(target: Target) -> str:
    return used(target, _post(target))


@attempt("replay-proof", "give the id of a proof that was asked for and never given, twice")
def replay_proof(target: Target) -> str:
    words = _post(target).replace(",", " ").split()
    at = words.index("id") if "id" in words else -1
    proof = (
        next((word for word in words[at + 1 :] if word != ":"), "none") if at >= 0 else "01M7Y6X3Z94PQNXH8Q4M0CEXYK"
    )
    return next((got for _ in range(2) if (got := used(target, _post(target, f"remit-proof: {proof}\r\n")))), "")


def _with_library(target: Target, code: str) -> str:
    """The command run with a library of its own, and what it said."""
    source, library = Path("/tmp/mine.c"), Path("/tmp/mine.so")
    source.write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
    return said_by(*start_task(target), environ={"LD_PRELOAD": str(library)})


@attempt("ld-preload", "load a library into the command that says every descriptor is a terminal")
def ld_preload(target: Target) -> str:
    return used(target, _with_library(target, "int isatty(int a) { return 1; }\n"))


@attempt("trace-cli", "run the command under a tracer, which could change what it sends")
def trace_cli(target: Target) -> str:
    return used(target, said_by("strace", "-f", "-qq", "-o", "/dev/null", *start_task(target)))


@attempt("shell-start", "write a line into the owner's shell start-up file that starts a task at the next shell")
def shell_start(target: Target) -> str:
    start, out = Path.home() / ".bashrc", Path("/tmp/shell-said")
    kept = start.read_bytes()
    start.write_text(f"({' '.join(start_task(target))}) > {out} 2>&1\n")
    try:
        _typed(["/bin/bash", "-i", "-c", "true"], 4)
        return used(target, out.read_text())
    finally:
        start.write_bytes(kept)
        out.unlink(missing_ok=True)


@attempt("foreground", "take the foreground of the owner's terminal (tcsetpgrp), and use the command there")
def foreground(target: Target) -> str:
    inner = (
        "import os,signal,sys,subprocess\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "os.setpgid(0, 0); os.tcsetpgrp(0, os.getpgrp())\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    shell = 'python3 -c "$0" "$@" & wait'
    return used(target, _typed(["/bin/sh", "-c", shell, inner, *start_task(target)]))


@attempt("type-into-terminal", "push key presses into a terminal with TIOCSTI")
def type_into_terminal(target: Target) -> str:
    line = " ".join(start_task(target)) + " > /tmp/sti-said 2>&1\n"
    inner = "import fcntl,sys,termios\nfor key in sys.argv[1]: fcntl.ioctl(0, termios.TIOCSTI, key.encode())\n"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["/bin/sh", "-i"])
    os.write(terminal, f"{sys.executable} -c '{inner}' '{line.strip()}'\n".encode())
    time.sleep(4)
    os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    os.waitpid(pid, 0)
    return used(target, Path("/tmp/sti-said").read_text())


@attempt("read-terminals", "open the terminals of others and read or write them")
def read_terminals(target: Target) -> str:
    del target
    mine = os.getpid()
    for terminal in Path("/dev/pts").glob("[0-9]*"):
        line = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.close(line)
        return f"opened a terminal that is not its own (as {mine})".partition(" (as")[0]
    return ""


@attempt("sudo-cache", "use a password that sudo remembers")
def sudo_cache(target: Target) -> str:
    del target
    return "root by sudo" if "uid=0" in said_by("sudo", "-n", "id") else ""


@attempt("other-process-token", "read a task's token out of another process's environment")
def other_process_token(target: Target) -> str:
    token = said_by(*start_task(target))
    child = subprocess.Popen(["sleep", "20"], env={"OPENAI_API_KEY": token.split()[-1]})
    try:
        return used(target, Path(f"/proc/{child.pid}/environ").read_text().replace("=", " ").replace("\0", " "))
    finally:
        child.kill()
        child.wait()


@attempt("forge-control", "answer the command in control's place on a socket of its own")
def forge_control(target: Target) -> str:
    path, aside = target.run / "control.sock", target.run / "control.aside"
    path.rename(aside)
    try:
        with socket.socket(socket.AF_UNIX) as mine:
            mine.bind(str(path))
            mine.listen()
            mine.settimeout(SECONDS)
            command = subprocess.Popen([target.remit, "status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                mine.accept()[0].close()
                return "the command asked its socket"
            finally:
                command.kill()
                command.wait()
    finally:
        aside.replace(path)
