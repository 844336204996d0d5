"""Tries to pass for the person at a terminal: its own, its owner's, or what a shell of theirs starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.kit import (
    SECONDS,
    Claim,
    Target,
    attempt,
    heard,
    library,
    said_by,
    start_task,
    token_in,
    typed,
    wait_until,
)

PROOF = "what widens reach takes the person's password or passkey"


@attempt(
    "approve-setsid",
    "leave its session and its parents (setsid, double fork), then use the command on a terminal",
    "token",
    PROOF,
)
def approve_setsid(target: Target) -> Claim | None:
    out = Path(f"/tmp/orphan-{os.getpid()}")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            wait_until(lambda: os.getppid() == 1, 2)
            part = out.with_suffix(".part")
            part.write_text(typed(start_task(target)))
            part.rename(out)
        os._exit(0)
    os.wait()
    return token_in(out.read_text()) if wait_until(out.exists, 2 * SECONDS) else None


@attempt("approve-pty", "start a task on a terminal it made itself, and type what is asked for", "token", PROOF)
def approve_pty(target: Target) -> Claim | None:
    return token_in(typed(start_task(target)))


@attempt(
    "guess-password", "start a task on a terminal of its own, and type passwords that people have", "token", PROOF
)
def guess_password(target: Target) -> Claim | None:
    for guess in (b"ada", b"password"):
        if found := token_in(typed(start_task(target), key=guess)):
            return found
    return None


@attempt("approve-script", "start a task under script(1)", "token", PROOF, "script")
def approve_script(target: Target) -> Claim | None:
    return token_in(said_by("script", "-qec", " ".join(start_task(target)), "/dev/null"))


@attempt(
    "approve-ssh",
    "let itself in with a key of its own over ssh, whose terminals sshd alone holds, and type passwords there",
    "token",
    PROOF,
    "ssh",
    "ssh-keygen",
)
def approve_ssh(target: Target) -> Claim | None:
    key, known = Path.home() / "mine-of-ssh", Path.home() / ".ssh" / "authorized_keys"
    key.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    known.write_text(known.read_text() + key.with_suffix(".pub").read_text())
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    given = [word for option in options for word in ("-o", option)]
    shell = ["ssh", "-tt", "-F", "none", *given, "-p", "2222", "-i", str(key), "ada@127.0.0.1"]
    return token_in(typed([*shell, " ".join(start_task(target))], 2 * SECONDS, key=b"password"))


@attempt(
    "ld-preload", "load a library into the command that says every descriptor is a terminal", "token", PROOF, "cc"
)
def ld_preload(target: Target) -> Claim | None:
    loaded = library("int isatty(int a) { return 1; }\nint getuid(void) { return 0; }\n")
    return token_in(said_by(*start_task(target), environ={"LD_PRELOAD": loaded}))


@attempt("preload-guard", "load a library into what the command starts as Remit's own", "token", PROOF, "cc")
def preload_guard(target: Target) -> Claim | None:
    loaded = library("int isatty(int a) { return 1; }\n")
    return token_in(typed(start_task(target), environ={"LD_PRELOAD": loaded, "PYTHONPATH": "/tmp"}))


@attempt("trace-cli", "run the command under a tracer, which could change what it sends", "token", PROOF, "strace")
def trace_cli(target: Target) -> Claim | None:
    return token_in(typed(["strace", "-f", "-qq", "-o", "/dev/null", *start_task(target)], 2 * SECONDS))


@attempt(
    "shell-start", "write a line into the owner's .bashrc that starts a task at their next shell", "shell", PROOF
)
def shell_start(target: Target) -> Iterator[Claim]:
    start, out = Path.home() / ".bashrc", Path("/tmp/shell-said")
    kept = start.read_bytes() if start.exists() else b""
    start.write_text(f"{' '.join(start_task(target))} 2>&1 | tee {out}\n")
    yield {"out": str(out)}
    start.write_bytes(kept)
    out.unlink(missing_ok=True)


@attempt(
    "foreground",
    "take the foreground of a terminal from whom it belongs to (tcsetpgrp), and use the command there",
    "token",
    PROOF,
)
def foreground(target: Target) -> Claim | None:
    take = (
        "import os,signal,sys\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "os.setpgid(0, 0); os.tcsetpgrp(0, os.getpgrp())\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    return token_in(typed(["/bin/sh", "-c", '"$0" -c "$@"; true', sys.executable, take, *start_task(target)]))


@attempt(
    "type-into-terminal", "push key presses into a terminal (TIOCSTI) whose shell then starts a task", "token", PROOF
)
def type_into_terminal(target: Target) -> Claim | None:
    out = Path("/tmp/sti-said")
    out.unlink(missing_ok=True)
    line = " ".join(start_task(target)) + f" 2>&1 | tee {out}\n"
    push = f"import fcntl,termios\nfor key in {line!r}: fcntl.ioctl(0, termios.TIOCSTI, key.encode())\n"
    typed(["/bin/sh", "-c", '"$0" -c "$1"; exec /bin/sh -i', sys.executable, push], 1.5 * SECONDS)
    return token_in(out.read_text())


@attempt(
    "read-terminals",
    "read another's terminals, where passwords are typed",
    "terminal",
    "terminals belong to whom they are lent to",
)
def read_terminals(_target: Target) -> Claim | None:
    mine = os.stat("/proc/self").st_uid
    others = [one for one in Path("/dev/pts").glob("[0-9]*") if one.stat().st_uid != mine]
    for terminal in others:
        os.close(os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
        return {"path": str(terminal)}
    return None


@attempt(
    "sudo-cache",
    "use a password that sudo remembers, on the terminal where its owner just typed it",
    "root",
    "sudo remembers none: timestamp_timeout=0",
    "sudo",
)
def sudo_cache(_target: Target) -> Claim | None:
    """Its owner types into what stands for their terminal (a named pipe): it runs there too, and never sees it."""
    typed_into = Path.home() / "typed"
    if not typed_into.exists():
        return None
    said = typed(["sh", "-c", f"sudo -S -v < {typed_into}; sudo -n id"])
    return {"said": heard(said)} if "uid=0" in said else None
