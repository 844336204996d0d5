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
    """The one that was named; else this user's own if it runs, or was ever started; else the whole machine's.

    To root the whole machine's, where there is one, comes before one of their own that doesn't run.
    """
    own, system = Places.of(state, os.environ), Places.system()
    if state is not None or _there(own.api_socket):
        return own
    installed = _there(system.state) and (os.geteuid() == 0 or not _there(own.state))
    here = _there(system.api_socket) or installed
    return system if here else own


def _there(path: Path) -> bool:
    """False also for what this user can't see: `sudo -u` may leave another's HOME."""
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises there)
