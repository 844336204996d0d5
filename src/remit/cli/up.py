"""`remit up`: find the model servers here, guard them, and say how to call them."""

import json as jsonlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from remit.cli.places import JsonOption, StateOption
from remit.errors import START_AGAIN, StateError, UsageError

RESTART_WINDOW_SECONDS: Final = 60.0
MAX_RESTARTS: Final = 3
SYSTEM: Final = [sys.executable, "-I", "-m", "remit.app", "system"]


def up(
    owner: Annotated[
        str | None, typer.Option(metavar="NAME", help="The accountable person, when no one is logged in (services).")
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="As root: one Remit for everybody here, under a uid of its own.")
    ] = False,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Find the model servers on this machine, guard them, and stay until Ctrl-C."""
    if system:
        _check_system(owner, state)
    show = _show_json if json else _shower()
    control = _Control(SYSTEM if system else _command(owner, state), show)
    status = control.run()
    if system and control.started:
        _open_again()
    raise typer.Exit(status)


class _Control:
    """The control process, kept alive: it is started again when it dies without having been told to stop."""

    def __init__(self, command: list[str], show: Callable[[dict[str, Any]], None]) -> None:
        self._command, self._show = command, show
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._starts: list[float] = []
        self.started = False
        """Whether it was ever this machine's Remit, and not one that another kept from starting."""

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        while True:
            status = self._once()
            self._process = None
            if self._stopping or (status >= 0 and status != START_AGAIN):
                return max(status, 0)
            if not self._may_restart():
                self._show({"event": "error", "message": "control died too often", "hint": "see `remit audit tail`"})
                return 1
            self._show({"event": "note", "text": f"control {_how(status)}; starting it again"})

    def _once(self) -> int:
        self._starts.append(time.monotonic())
        # Control ends when our end of its standard input closes: also when this process is killed.
        with subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            self._process = process
            if self._stopping:  # told while it was being started
                process.terminate()
            assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
            for line in process.stdout:
                if line.endswith(b"\n"):  # a killed control may leave half a line
                    event = jsonlib.loads(line)
                    self.started |= event["event"] == "starting"
                    self._show(event)
        return process.returncode

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _may_restart(self) -> bool:
        since = time.monotonic() - RESTART_WINDOW_SECONDS
        return len([start for start in self._starts if start > since]) <= MAX_RESTARTS


def _how(status: int) -> str:
    return f"died (signal {-status})" if status < 0 else "ended"


def _open_again() -> None:
    """Whatever became of control: what it had the kernel refuse goes with it."""
    from remit.sandbox.fence import lift

    lift()


def _check_system(owner: str | None, state: Path | None) -> None:
    """Raises UsageError for what system mode has no use for, StateError for anybody but root."""
    if owner is not None or state is not None:
        given = "--owner" if owner is not None else "--state"
        raise UsageError(
            f"`--system` goes without `{given}`",
            hint="its state is in /var/lib/remit, and /etc/remit/config.toml names its administrators",
        )
    if os.geteuid() != 0:
        raise StateError("system mode is started by root", hint="`sudo remit up --system`, or its systemd unit")


def _command(owner: str | None, state: Path | None) -> list[str]:
    command = [sys.executable, "-I", "-m", "remit.app", "control"]
    if owner is not None:
        command += ["--owner", owner]
    if state is not None:
        command += ["--state", str(state.absolute())]
    return command


def _show_json(event: dict[str, Any]) -> None:
    sys.stdout.write(jsonlib.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _shower() -> Callable[[dict[str, Any]], None]:
    from remit.cli.events import print_event

    return print_event
