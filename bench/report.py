"""What was measured, as Markdown in docs/performance.md: one table of targets, and for each part its own tables."""

import os
import platform
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import ROOT

PAGE: Final = ROOT / "docs/performance.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of targets."""

    what: str
    to_reach: str
    reached: str
    met: bool
    beside: str

    def line(self) -> str:
        return _line((self.what, self.to_reach, self.reached, "yes" if self.met else "**no**", self.beside))


@dataclass(frozen=True, slots=True)
class Table:
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        return "\n".join([_line(self.head), _line(("---",) * len(self.head)), *(_line(line) for line in self.lines)])


@dataclass(frozen=True, slots=True)
class Part:
    """One part's outcome. `notes` is a sentence or two on how; `printed` is output that is shown as it came."""

    name: str
    rows: tuple[Row, ...]
    tables: tuple[Table, ...] = ()
    notes: str = ""
    printed: str = ""

    def text(self, command: str) -> str:
        shown = [f"`{command}`, {time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}."]
        if self.rows:
            shown.append(Table(HEAD, ()).text() + "\n" + "\n".join(row.line() for row in self.rows))
        shown += [table.text() for table in self.tables]
        if self.printed:
            shown.append(f"```text\n{self.printed.strip()}\n```")
        return "\n\n".join([*shown, self.notes] if self.notes else shown)


HEAD: Final = ("what", "to reach", "reached", "met", "in the same run")


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def machine() -> str:
    """Cores, kernel, Python, and how busy the machine is with other things."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    kind = f" ({model[1]})" if model else ""
    load = os.getloadavg()[0]
    release = platform.release().split("-", maxsplit=1)[0]
    return f"{os.cpu_count()} cores{kind}, Linux {release}, Python {platform.python_version()}, load {load:.1f}"


def write(part: Part, command: str, page: Path = PAGE) -> None:
    """Put a part's tables between its markers, and its rows into the table of targets."""
    text = page.read_text()
    text = _between(text, part.name, part.text(command))
    targets = _inside(text, "targets").strip().split("\n")
    for row in part.rows:
        kept = [line for line in targets if not line.startswith(f"| {row.what} |")]
        at = next((n for n, line in enumerate(targets) if line.startswith(f"| {row.what} |")), len(kept))
        targets = [*kept[:at], row.line(), *kept[at:]]
    page.write_text(_between(text, "targets", "\n".join(targets)))


def _inside(text: str, name: str) -> str:
    return text.partition(f"<!-- bench:{name} -->")[2].partition(f"<!-- /bench:{name} -->")[0]


def _between(text: str, name: str, new: str) -> str:
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        print(f"{PAGE} has no place for `{name}`", file=sys.stderr)
        return text
    return f"{before}{begin}\n{new}\n{end}{after}"
