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
    return Places.of(state, os.environ)
