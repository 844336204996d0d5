"""One approval as a person reads it before they answer: nothing in it can hide, move or imitate."""

import json
import time
from collections.abc import Iterator
from typing import Any

from remit.cli.screen import one_line
from remit.persons.shown import visible


def shown(one: dict[str, Any]) -> Iterator[str]:
    """Its lines: of one that is over only what is kept."""
    yield one_line(f"{one['id']}   {one['state']}   {one['action']} {one['thing']}")
    yield from _line("asked", _clock(one["asked"]) + (f", by {one['calls']} calls" if one["calls"] > 1 else ""))
    yield from _line("for", ", ".join(one["for"]))
    ends = f" until {_clock(one['task_ends'])}" if one["task_ends"] else ""
    yield from _line("task", f"{one['task']}{ends}   {one['purpose']}".rstrip() if one["task"] else "none")
    yield from _answer(one)
    matter = one.get("matter")
    if matter is not None:
        yield from _matter(one, matter)
    if one["suggestion"]:
        yield from _line("instead", one["suggestion"])


def _answer(one: dict[str, Any]) -> Iterator[str]:
    """Who said what; and what became of it since, which is nobody's answer."""
    gone = one["state"] == "withdrawn"
    if one["by"]:
        extent = "" if one["answer"] == "denied" else f" ({one['extent']})"
        why = f": {one['why']}" if one["why"] and not gone else ""
        yield from _line("answered", f"{one['answer']} by {one['by']}{extent}{why}")
    if gone:
        yield from _line("withdrawn", one["why"])
    if one["state"] == "expired":
        yield from _line("expired", "nobody came for the answer in time" if one["by"] else "nobody answered in time")


def _matter(one: dict[str, Any], matter: dict[str, Any]) -> Iterator[str]:
    yield from _line("takes", f"the {one['needed']}'s word, by {', '.join(matter['by'])}")
    yield from _line("until", _clock(one["expires"]))
    yield from _line("caller", f"{matter['described']}, {matter['workload']}")
    if matter["chain"]:
        yield from _line("through", " > ".join(matter["chain"]))
    yield from _line("on", matter["on"])
    yield from _line("request", visible(matter["target"] or matter["route"]))
    if matter["model"]:
        yield from _line("model", f"{visible(matter['model'])} ({matter['model_digest']})")
    if matter["thing"] is not None:
        yield from _line("label", str(matter["thing"]["label"]))
    if matter["found"]:
        yield from _line("found", ", ".join(f"{rule} ({label})" for rule, label in matter["found"].items()))
    for line in one["provenance"]:
        yield from _line("from", line)
    for line in one["blast"]:
        yield from _line("reach", line)
    yield from _line("arguments", f"{matter['size']} bytes; secrets in them are masked")
    yield from (f"    {line}" for line in arguments(matter["arguments"]))
    yield from _line("digest", one["digest"])


def arguments(text: str) -> list[str]:
    """Exact, one value a line where it is JSON, with all that could deceive spelled out."""
    try:
        value = json.loads(text)
    except ValueError:
        return [visible(text)]
    return [visible(line.replace("\t", "  ")) for line in json.dumps(value, indent=1, ensure_ascii=False).split("\n")]


def _line(label: str, text: str) -> Iterator[str]:
    yield f"  {label:<12} {one_line(text)}"


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
