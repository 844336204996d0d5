"""`remit break-glass open` where control does not answer: an instance for this one opening, held by this terminal."""

import contextlib
import json as jsonlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from remit.config import Places
from remit.errors import START_AGAIN, StateError

PROGRAM: Final = [sys.executable, "-I", "-m", "remit.emergency"]
TRIES_SECONDS: Final = 20.0  # while control is being started again it holds the instance now and then
PAUSE_SECONDS: Final = 0.3


def answers(path: Path) -> bool:
    """Whether anybody listens at the control socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5.0)
        try:
            probe.connect(str(path))
        except PermissionError:
            return True  # somebody does, and is not to be replaced
        except OSError:
            return False
    return True


def hold_open(at: Places, state: Path | None, body: dict[str, Any], person: str | None, *, json: bool) -> int | None:
    """Hold the opening until it is closed: its exit status, or None when control is there again, and is to be asked.

    Raises StateError where only root can.
    """
    if at.shared and os.geteuid() != 0:
        raise StateError(
            "this machine's own Remit does not answer: root alone can open break-glass now",
            hint="sudo remit break-glass open --reason TEXT",
        )
    uid = _uid(person) if at.shared else os.getuid()
    command = [*PROGRAM, "--root"] if at.shared else [*PROGRAM, *_named(state)]
    deadline = time.monotonic() + TRIES_SECONDS
    while (status := _held({**body, "uid": uid}, command, _shower(json=json))) == START_AGAIN:
        if answers(at.api_socket):
            return None
        if time.monotonic() > deadline:
            raise hangs(at)
        time.sleep(PAUSE_SECONDS)
    return status


def hangs(at: Places) -> StateError:
    """Control is there and does not answer: a person has to end it, nothing else does."""
    from remit.control.instance import read_run_file

    pid = (read_run_file(at.run_file) or {}).get("pid")
    end = f"kill -KILL {pid if isinstance(pid, int) else 'PID'}"
    return StateError(
        "control holds this instance, and does not answer",
        hint=f"end it, and ask again: {'sudo ' if at.shared else ''}{end}",
    )


def _held(request: dict[str, Any], command: list[str], show: Callable[[dict[str, Any]], None]) -> int:
    """One try; the instance ends when our end of its input closes: also when this process is killed."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: process.terminate())
        assert process.stdin is not None  # noqa: S101 (a pipe was asked for)
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # it ended at once, and says why
            process.stdin.write(jsonlib.dumps(request).encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            event = jsonlib.loads(line) if line.endswith(b"\n") else {"event": "note", "text": ""}
            if event.get("exit_code") != START_AGAIN:
                show(event)
    if process.returncode < 0:
        text = (
            f"the emergency instance died (signal {-process.returncode}): break-glass is closed, and due for review"
        )
        show({"event": "error", "message": text, "hint": ""})
        return 1
    return process.returncode


def _uid(person: str | None) -> int:
    """Whose calls: who is named, or who became root to type this."""
    from remit.identity.attestation.procfs import login_uid

    if person is None:
        known = login_uid("self")
        return known if known is not None else int(os.environ.get("SUDO_UID", "0"))
    try:
        return pwd.getpwnam(person).pw_uid
    except KeyError:
        raise StateError(f"`{person}` has no account here") from None


def _named(state: Path | None) -> list[str]:
    return [] if state is None else ["--state", str(state.absolute())]


def _shower(*, json: bool) -> Callable[[dict[str, Any]], None]:
    from remit.cli.events import print_event

    return _print_json if json else print_event


def _print_json(event: dict[str, Any]) -> None:
    sys.stdout.write(jsonlib.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()
