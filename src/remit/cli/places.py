"""Which instance of Remit a command speaks to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from remit.config import Places

StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", envvar="REMIT_STATE", help="Where this instance keeps its state."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def places(state: Path | None) -> Places:
    """The one that was named; else this user's own if it runs, or was ever started; else the whole machine's."""
    own, system = Places.of(state, os.environ), Places.system()
    if state is not None or own.api_socket.exists():
        return own
    here = system.api_socket.exists() or (system.state.exists() and not own.state.exists())
    return system if here else own
