"""Records of the log as people read them: one a line, or one whole."""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from remit.audit.read import Record

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]+…?(?![0-9a-z])")


def show_line(record: "Record", *, as_json: bool) -> None:
    """One record on one line: JSON as it is stored, or what it says."""
    if as_json:
        sys.stdout.write(record.line() + "\n")
        return
    row = record.data
    describe = _LINES.get(row.get("kind", ""), _unknown)
    try:
        word, text = describe(row)
    except (AttributeError, KeyError, TypeError, ValueError):
        word, text = "unreadable", f"record {record.ref} does not say what it should: remit audit verify"
    typer.echo(f"{_clock(row.get('t'))}  {style(f'{word:<9}', _COLOURS.get(word))}  {_clean(text)}")


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
    what = f"{row['action'] or 'what nobody could tell'} on {_acted_on(row)} by {caller}{_task(row)}"
    route = f"  {row['route']}" if row["route"].strip() else ""
    return row["outcome"], f"{what}{route}{found}{why}{_not_enforced(row)}  {row['id']}"


def _not_enforced(row: dict[str, Any]) -> str:
    """What would have refused it, or asked people, and was only observed."""
    observed = row.get("facts", {}).get("observed")
    return f"  NOT ENFORCED: {', '.join(observed)}" if observed else ""


def _acted_on(row: dict[str, Any]) -> str:
    """The thing, or the workload."""
    thing = row.get("facts", {}).get("thing")
    return str(thing[1]) if thing else _last_part(row["resource"])


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
    return "refused", f"{many(row['count'], 'call')} from {who}: {row['reason']}"


def _act(row: dict[str, Any]) -> tuple[str, str]:
    told = ((name, _fact(name, value)) for name, value in row["facts"].items() if value is not None)
    facts = "  ".join(f"{name} {text}" for name, text in told if text)
    by = f"by {row['person']}" if row["person"] else ""
    head = " ".join(filter(None, (row["what"], _fact("", row["subject"]), by)))
    return "control", head + (f"  {facts}" if facts else "")


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


def show_whole(record: "Record") -> None:
    """Every member of the record, one a line; nested ones flattened with dots."""
    row = record.data
    kind = row.pop("kind", "unreadable")
    typer.echo(f"{style(str(kind), 'cyan')}  record {record.index} of shard {record.shard}, ", nl=False)
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
    if name in _AS:
        return _AS[name](value)
    if isinstance(value, list):
        return ", ".join(_fact("", one) for one in value)
    if isinstance(value, dict):
        return " ".join(_fact("", one) for one in value.values() if one not in (None, ""))
    if isinstance(value, str) and value.startswith("spiffe://"):
        return _last_part(value)
    return _DIGEST.sub(r"\1…", _short(value))


def _budget(value: dict[str, int]) -> str:
    return ", ".join(f"{amount:,} {kind}" for kind, amount in value.items())


def _asked_for(value: dict[str, Any]) -> str:
    """Of what an approval was asked for, what it is and to what; `audit show` has the rest."""
    return f"{value['action']} {value['thing']}"


_AS: dict[str, Callable[[Any], str]] = {"expires": _clock, "was": _clock, "budget": _budget, "summary": _asked_for}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _clean(text: str) -> str:
    """A name in the log may hold control characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def many(count: int, noun: str) -> str:
    """`1 record`, `2,000 records`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def style(text: str, colour: str | None) -> str:
    """Coloured, where a person looks on."""
    return typer.style(text, fg=colour) if colour and sys.stdout.isatty() else text
