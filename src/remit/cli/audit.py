"""`remit audit`: watch the log, look up a record, verify that nobody changed it, take it elsewhere."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.audit_lines import show_line, show_whole
from remit.cli.audit_verdict import show_tampered, show_verdict
from remit.cli.log_source import LogSource
from remit.cli.places import JsonOption, StateOption, places
from remit.errors import AuditError, TamperedError, UsageError

if TYPE_CHECKING:
    from remit.audit import VerifierKey
    from remit.audit.read import Record

app = typer.Typer(
    help="The log of what happened: read it, verify it, take it elsewhere.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DirOption = Annotated[
    Path | None, typer.Option("--dir", metavar="DIR", help="The log's directory, if not this instance's.")
]


@app.command()
def tail(
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written from now on.")] = False,
    directory: DirOption = None,
    as_json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Show the last records, oldest first; `-f` goes on."""
    log = LogSource.of(places(state), directory)
    following: Iterator[Record] = log.from_now_on() if follow else iter(())
    for record in log.newest(count):
        show_line(record, as_json=as_json)
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        for record in following:
            show_line(record, as_json=as_json)
            sys.stdout.flush()


@app.command()
def show(
    which: Annotated[str, typer.Argument(metavar="ID", help="A decision's id, an act's subject, or SHARD#INDEX.")],
    directory: DirOption = None,
    as_json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Show all that the log says about one decision."""
    for record in LogSource.of(places(state), directory).about(which):
        if as_json:
            sys.stdout.write(record.line() + "\n")
        else:
            show_whole(record)


@app.command()
def verify(
    directory: DirOption = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The audit public key, kept from before.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="FILE", help="Heads that were saved elsewhere.")
    ] = None,
    as_json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Check that the log is what was written. Works offline; exits 3 and names the first altered record if not."""
    from remit.audit.verify import verify as verified

    where = LogSource.of(places(state), directory).files("verifying it")
    root = _public_key(key or where / "audit.pub")
    saved = None if checkpoint is None else _read(checkpoint, "the saved checkpoint")
    try:
        verdict = verified(where, root, saved, time.time())
    except TamperedError as error:
        show_tampered(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from error
    if as_json:
        sys.stdout.write(json.dumps({**verdict.to_dict(), "root_key": str(root)}) + "\n")
    else:
        show_verdict(verdict, root, key_given=key is not None)


@app.command()
def export(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")] = None,
    heads: Annotated[
        bool, typer.Option("--heads", help="Only the signed heads, for `verify --checkpoint`: keep them elsewhere.")
    ] = False,
    directory: DirOption = None,
    state: StateOption = None,
) -> None:
    """Print all records as JSON lines and the signed head of each shard (C2SP signed notes)."""
    from remit.audit import export as exporting

    where = LogSource.of(places(state), directory).files("taking it elsewhere")
    lines = [exporting.checkpoint(where)] if heads else (line + "\n" for line in exporting.export(where))
    if out is None:
        sys.stdout.writelines(lines)
        return
    try:
        with out.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise UsageError(f"`{out}` can't be written: {error.strerror}") from error
    typer.echo(f"written to {out}", err=True)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{what} `{path}` can't be read: {error.strerror}") from error


def _public_key(path: Path) -> "VerifierKey":
    from remit.audit import VerifierKey

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(
            f"the audit public key `{path}` can't be read", hint="give the one you kept with --key FILE"
        ) from error
    return VerifierKey.parse(text)
