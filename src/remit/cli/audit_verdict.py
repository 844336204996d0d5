"""What `remit audit verify` says of a log, for people and for machines."""

import json
import sys
from typing import TYPE_CHECKING

import typer

from remit.cli.audit_lines import many, style
from remit.errors import TamperedError

if TYPE_CHECKING:
    from remit.audit import ShardVerdict, Verdict, VerifierKey


def show_tampered(error: TamperedError, *, as_json: bool) -> None:
    """A log that is not, and where it stops being it."""
    if as_json:
        named = {name: getattr(error, name) for name in ("shard", "index", "offset", "id") if hasattr(error, name)}
        sys.stdout.write(json.dumps({"ok": False, "error": str(error), "hint": error.hint, **named}) + "\n")
        return
    typer.echo(f"{style('TAMPERED', 'red')}   {error}")
    typer.echo(f"           {error.hint}")


def show_verdict(verdict: "Verdict", root: "VerifierKey", *, key_given: bool) -> None:
    """A log that is what was written, and what that does not prove."""
    keys = ", ".join(f"{shard.key.hash.hex()[:4]}…" for shard in verdict.shards[-4:])
    keys = f"…, {keys}" if len(verdict.shards) > 4 else keys
    typer.echo(
        f"{style('ok', 'green')}   {many(len(verdict.shards), 'shard')}, {many(verdict.records, 'record')}, every "
        f"checkpoint signed by its writer's key ({keys}); newest {_age(verdict.newest_age)}"
    )
    for shard in verdict.shards:
        if shard.state != "closed" or shard.pending:
            typer.echo(f"     {shard.shard}: {_state(shard)}")
    if verdict.anchored:
        typer.echo(f"     holds all of the saved checkpoint ({many(verdict.anchored, 'head')}): nothing was cut off")
    else:
        typer.echo(
            "     truncation not checked: give --checkpoint FILE, or anchor heads off this host (docs/audit.md)"
        )
    if not key_given:
        typer.echo(f"     trusted key {root.hash.hex()} read from beside the log: compare it, or give --key FILE")


def _state(shard: "ShardVerdict") -> str:
    words = {
        "open": "being written now",
        "closed": "closed",
        "unfinished": "its writer died without closing it",
    }[shard.state]
    if shard.tail:
        words += f"; {many(shard.tail, 'byte')} of an unfinished write follow the last checkpoint: no record of them"
    if shard.pending:
        words += f"; {many(shard.pending, 'call')} " + ("under way" if shard.state == "open" else "end unknown")
    return words


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    if seconds < -1:
        return f"{-seconds:.0f} s in the future: a clock was set back"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"
