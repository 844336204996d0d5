"""`remit down`: stop everything that `remit up` started."""

import time
from typing import Final

import typer

from remit.cli.places import JsonOption, StateOption, places
from remit.errors import StateError

STOP_SECONDS: Final = 15.0


def down(json: JsonOption = False, state: StateOption = None) -> None:
    """Stop Remit: gateways, control, and the demonstration server if it started one."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    where = places(state)
    answer = ask(where.api_socket, "POST", "stop")
    deadline = time.monotonic() + STOP_SECONDS
    while where.run_file.exists():
        if time.monotonic() > deadline:
            raise StateError(f"remit (pid {answer['pid']}) was told to stop and has not ended yet")
        time.sleep(0.05)
    if json:
        print_json({"event": "stopped", **answer})
    else:
        typer.echo("stopped", err=True)
