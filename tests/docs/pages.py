"""The pages that people read, and the pieces of them that tests compare with the program."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str = "") -> list[str]:
    """The fenced blocks of a page in `language`."""
    return [body for kind, body in FENCE.findall(text(name)) if kind == language]


def prose(name: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text(name))


def rows(name: str, heading: str = "") -> Iterator[list[str]]:
    """The cells of each table row whose first cell is code, after `heading`, up to the next heading of that rank."""
    page = text(name)
    if heading:
        page = page[page.index(heading + "\n") + len(heading) :]
        page = re.split(rf"^{heading.split(maxsplit=1)[0]} ", page, maxsplit=1, flags=re.MULTILINE)[0]
    for line in page.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))
