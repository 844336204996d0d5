"""`remit audit`: watch the log, look up a record, verify that nobody changed it, take it elsewhere."""

import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption, places
from remit.errors import AuditError, TamperedError, UsageError

if TYPE_CHECKING:
    from remit.audit import ShardVerdict, Verdict, VerifierKey
    from remit.audit.read import Record

app = typer.Typer(
    help="The log of what happened: read it, verify it, take it elsewhere.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DirOption = Annotated[
    Path | None, typer.Option("--dir", metavar="DIR", help="The log's directory, if not this instance's.")
]
POLL_SECONDS = 0.2
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]+…?(?![0-9a-z])")


@app.command()
def tail(
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written from now on.")] = False,
    directory: DirOption = None,
    as_json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Show the last records, oldest first; `-f` goes on."""
    from remit.audit import read

    where = _directory(directory, state)
    follower = read.Follower(where) if follow else None
    for record in read.tail(where, count):
        _show_line(record, as_json=as_json)
    while follower is not None:
        for record in follower.fresh():
            _show_line(record, as_json=as_json)
        sys.stdout.flush()
        try:
            time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return


@app.command()
def show(
    which: Annotated[str, typer.Argument(metavar="ID", help="A decision's id, an act's subject, or SHARD#INDEX.")],
    directory: DirOption = None,
    as_json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Show all that the log says about one decision."""
    from remit.audit import read

    for record in read.find(_directory(directory, state), which):
        if as_json:
            sys.stdout.write(record.line() + "\n")
        else:
            _show_whole(record)


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

    where = _directory(directory, state)
    root = _public_key(key or where / "audit.pub")
    saved = None if checkpoint is None else _read(checkpoint, "the saved checkpoint")
    try:
        verdict = verified(where, root, saved, time.time())
    except TamperedError as error:
        _show_tampered(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from error
    if as_json:
        sys.stdout.write(json.dumps({**verdict.to_dict(), "root_key": str(root)}) + "\n")
    else:
        _show_verdict(verdict, root, key_given=key is not None)


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

    where = _directory(directory, state)
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


def _directory(directory: Path | None, state: Path | None) -> Path:
    return places(state).audit if directory is None else directory


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


def _show_tampered(error: TamperedError, *, as_json: bool) -> None:
    if as_json:
        named = {name: getattr(error, name) for name in ("shard", "index", "offset", "id") if hasattr(error, name)}
        sys.stdout.write(json.dumps({"ok": False, "error": str(error), "hint": error.hint, **named}) + "\n")
        return
    typer.echo(f"{_style('TAMPERED', 'red')}   {error}")
    typer.echo(f"           {error.hint}")


def _show_verdict(verdict: "Verdict", root: "VerifierKey", *, key_given: bool) -> None:
    keys = ", ".join(f"{shard.key.hash.hex()[:4]}…" for shard in verdict.shards[-4:])
    keys = f"…, {keys}" if len(verdict.shards) > 4 else keys
    typer.echo(
        f"{_style('ok', 'green')}   {_many(len(verdict.shards), 'shard')}, {_many(verdict.records, 'record')}, every "
        f"checkpoint signed by its writer's key ({keys}); newest {_age(verdict.newest_age)}"
    )
    for shard in verdict.shards:
        if shard.state != "closed" or shard.pending:
            typer.echo(f"     {shard.shard}: {_state(shard)}")
    if verdict.anchored:
        typer.echo(f"     holds all of the saved checkpoint ({_many(verdict.anchored, 'head')}): nothing was cut off")
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
        words += f"; {_many(shard.tail, 'byte')} of an unfinished write follow the last checkpoint: no record of them"
    if shard.pending:
        words += f"; {_many(shard.pending, 'call')} " + ("under way" if shard.state == "open" else "end unknown")
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


def _show_line(record: "Record", *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(record.line() + "\n")
        return
    row = record.data
    describe = _LINES.get(row.get("kind", ""), _unknown)
    try:
        word, text = describe(row)
    except (KeyError, TypeError, ValueError):
        word, text = "unreadable", f"record {record.ref} does not say what it should: remit audit verify"
    typer.echo(f"{_clock(row.get('t'))}  {_style(f'{word:<9}', _COLOURS.get(word))}  {_clean(text)}")


def _clock(moment: Any) -> str:
    """Local time; with the date if that is not today."""
    try:
        then = datetime.fromtimestamp(moment, UTC).astimezone()
    except (TypeError, ValueError, OverflowError, OSError):
        return "--:--:--"
    today = datetime.now(UTC).astimezone().date()
    return f"{then:%H:%M:%S}" if then.date() == today else f"{then:%Y-%m-%d %H:%M:%S}"


def _start(row: dict[str, Any]) -> tuple[str, str]:
    process = row["process"]
    caller = f"{process['name']} (pid {process['pid']})" if process else _last_part(row["workload"] or "unknown")
    found = "  found " + ", ".join(row["found"]) if row["found"] else ""
    why = "" if row["outcome"] == "allowed" else f"  {_refused_by(row)}"
    what = f"{row['action']} on {_last_part(row['resource'])} by {caller}"
    return row["outcome"], f"{what}{_task(row)}  {row['route']}{found}{why}  {row['id']}"


def _refused_by(row: dict[str, Any]) -> str:
    """The rule; and the reason where it says more than the line does: of what could not even be decided on."""
    return str(row["rule"]) if row["body"] else f"{row['rule']}: {row['reason']}"


def _task(row: dict[str, Any]) -> str:
    return f" for task {row['task']}" if row["task"] else ""


def _end(row: dict[str, Any]) -> tuple[str, str]:
    masked = "".join(f", masked {count} {rule}" for rule, count in row["masked"].items())
    status = "" if row["status"] is None else f"{row['status']}, "
    size = f"{row['bytes_in']} bytes in, {row['bytes_out']} out"
    return row["outcome"], f"{status}{size} in {row['duration_ms']:.0f} ms{masked}  {row['id']}"


def _refusals(row: dict[str, Any]) -> tuple[str, str]:
    who = "a peer of unknown uid" if row["uid"] is None else f"uid {row['uid']}"
    return "refused", f"{_many(row['count'], 'call')} from {who}: {row['reason']}"


def _act(row: dict[str, Any]) -> tuple[str, str]:
    facts = "  ".join(
        f"{name} {_fact(name, value)}" for name, value in row["facts"].items() if value not in (None, "")
    )
    by = f" by {row['person']}" if row["person"] else ""
    return "control", f"{row['what']} {_fact('', row['subject'])}{by}" + (f"  {facts}" if facts else "")


def _header(row: dict[str, Any]) -> tuple[str, str]:
    return "opened", f"shard {row['shard']}" + (f", after {row['previous']['shard']}" if row["previous"] else "")


def _closed(_row: dict[str, Any]) -> tuple[str, str]:
    return "closed", "the shard ends"


def _unknown(row: dict[str, Any]) -> tuple[str, str]:
    return str(row.get("kind")), "a record of a kind that this version does not know"


_LINES = {
    "start": _start,
    "end": _end,
    "refusals": _refusals,
    "act": _act,
    "header": _header,
    "closed": _closed,
}
_COLOURS = {"refused": "red", "allowed": "green", "broken": "yellow", "timed_out": "yellow", "unreadable": "red"}


def _show_whole(record: "Record") -> None:
    """Every member of the record, one a line; nested ones flattened with dots."""
    row = record.data
    kind = row.pop("kind", "unreadable")
    typer.echo(f"{_style(str(kind), 'cyan')}  record {record.index} of shard {record.shard}, ", nl=False)
    typer.echo(f"covered by checkpoint {record.covered_by}")
    for name, value in _flat(row):
        typer.echo(f"  {name:<18}  {_clean(value)}")


def _flat(row: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, value in row.items():
        if isinstance(value, dict) and value:
            lines += _flat(value, f"{prefix}{name}.")
        elif name == "t" and not prefix:
            lines.append(("time", _clock(value)))
        elif value not in (None, "", [], {}):
            lines.append((prefix + name, value if isinstance(value, str) else json.dumps(value)))
    return lines


def _last_part(spiffe_id: str) -> str:
    return spiffe_id.rsplit("/", 1)[-1]


def _fact(name: str, value: Any) -> str:
    """One fact of an act on a line: times as times, digests begun, workloads by name, lists as words."""
    if name == "expires":
        return _clock(value)
    if isinstance(value, list):
        return ", ".join(_fact("", one) for one in value)
    if isinstance(value, dict):
        return " ".join(_fact("", one) for one in value.values() if one not in (None, ""))
    if isinstance(value, str) and value.startswith("spiffe://"):
        return _last_part(value)
    return _DIGEST.sub(r"\1…", _short(value))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _clean(text: str) -> str:
    """A name in the log may hold control characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _style(text: str, colour: str | None) -> str:
    return typer.style(text, fg=colour) if colour and sys.stdout.isatty() else text
