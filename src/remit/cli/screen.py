"""What all commands print with. stdout is data, stderr is talk."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

_LAYOUT: Final = "\n\t"


def harmless(text: str) -> str:
    """`text` with nothing that a terminal would obey: servers, processes and whoever runs control choose words."""
    return "".join(letter if letter.isprintable() or letter in _LAYOUT else "�" for letter in text)


def one_line(text: str) -> str:
    """The same, where it is part of a line: words of others begin none that looks like Remit's."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


class Screen(Console):
    """A terminal that obeys the markup alone. Root reads here what other users wrote."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(harmless(one) if isinstance(one, str) else one for one in objects), **options)


OUT: Final = Screen(highlight=False, soft_wrap=True)
ERR: Final = Screen(stderr=True, highlight=False, soft_wrap=True)
GRADE_WORDS: Final = {"C": "ADVISORY", "B": "separate uid", "A": "contained"}


def print_json(value: Any) -> None:
    """For machines, on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def short(digest: str | None) -> str:
    """A digest as people compare it: its first and last digits."""
    if not digest:
        return "unknown"
    kind, _, hexes = digest.rpartition(":")
    if len(hexes) < 16:
        return digest
    return f"{kind + ':' if kind else ''}{hexes[:4]}…{hexes[-2:]}"


def age(seconds: float) -> str:
    """A length of time in its largest unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table on stdout, columns two spaces apart."""
    lines = [tuple(heads), *(tuple(one_line(str(cell)) for cell in row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        OUT.print(f"[dim]{escape(text)}[/]" if number == 0 else escape(text))


def line(head: str, text: str, style: str = "cyan") -> None:
    """One line of `remit up` and `status`: what it is about, and what it says in rich's markup."""
    OUT.print(f"  [{style}]{head:<8}[/] {one_line(text)}")


def print_instance(event: dict[str, Any]) -> None:
    """The headline: which Remit, whose, and how far its enforcement can be got around."""
    grade = event["grade"]
    OUT.print(
        f"[bold]remit {event['version']}[/] · trust domain [bold]{escape(event['trust_domain'])}[/] · "
        f"{_whose(event)} (uid {event['uid']}) · grade {grade}: [yellow]{GRADE_WORDS.get(grade, grade)}[/]\n"
    )


def _whose(event: dict[str, Any]) -> str:
    """One person's, or the machine's, and what the reader is there."""
    if not event.get("shared"):
        return f"owner {escape(event['owner'])}"
    roles = " and ".join(a(role) for role in (event["role"], *event.get("duties", ()))) if "role" in event else ""
    return "this machine's" + (f", where you are {roles}" if roles else "")


def a(noun: str) -> str:
    """`a person`, `an auditor`."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def verbs(capabilities: Sequence[str]) -> str:
    """What a workload can do, in words."""
    return ", ".join({"act": "acts", "store": "stores", "disclose": "discloses"}[name] for name in capabilities)


def print_facts(name: str, spiffe_id: str, facts: Iterable[tuple[str, str]]) -> None:
    """One thing, by name and SPIFFE ID, and what is known of it line by line; empty lines are left out."""
    OUT.print(f"[bold]{escape(one_line(name))}[/]      [dim]{escape(one_line(spiffe_id))}[/]")
    for head, text in facts:
        fact_line(head, text)


def fact_line(head: str, text: str, *, even_empty: bool = False) -> None:
    """One fact of one thing; nothing where there is none."""
    if text or even_empty:
        OUT.print(f"  [cyan]{escape(head):<14}[/] {escape(one_line(text))}")
