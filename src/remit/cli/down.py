"""`remit down`: stop everything that `remit up` started."""

import os
import select
from typing import Final

import typer

from remit.cli.places import JsonOption, StateOption, places
from remit.errors import StateError

STOP_SECONDS: Final = 15.0


def down(json: JsonOption = False, state: StateOption = None) -> None:
    """Stop Remit: gateways, control, and the demonstration server if it started one."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "POST", "stop")
    if not _ended(answer["pid"]):
        raise StateError(f"remit (pid {answer['pid']}) was told to stop and has not ended yet")
    if json:
        print_json({"event": "stopped", **answer})
    else:
        typer.echo("stopped", err=True)


def _ended(pid: int) -> bool:
    """Whether control has ended within STOP_SECONDS: what it has to clear away it has cleared away then."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], STOP_SECONDS)[0])
    finally:
        os.close(pidfd)
