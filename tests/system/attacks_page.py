"""docs/attacks.md: its tables are written from what came of the tries, and compared with them."""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.system.attacked import Outcome
from tests.system.hostile.kit import TRIES, Try

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"
Outcomes = Mapping[str, Outcome]


def tables(user: Outcomes, system: Outcomes) -> dict[str, str]:
    """By name: all tries but the limits, what succeeds in user mode, and the limits."""
    every = [one for one in TRIES.values() if one.family != "limits"]
    limits = [one for one in TRIES.values() if one.family == "limits"]
    head = "| try | what it does | user mode | system mode | what stops it there |\n|---|---|---|---|---|\n"
    all_rows = "".join(
        f"| `{one.name}` | {one.sentence} | {word(user[one.name])} | {word(system[one.name])} | {one.stops} |\n"
        for one in every
    )
    user_rows = "".join(
        f"| `{one.name}` | {user[one.name].evidence} |\n" for one in every if user[one.name].succeeded
    )
    limit_rows = "".join(
        f"| `{one.name}` | {one.sentence} | {word(user[one.name])} | {word(system[one.name])} | {one.stops} |\n"
        for one in limits
    )
    return {
        "tries": head + all_rows,
        "user": "| try | what it comes to |\n|---|---|\n" + user_rows,
        "limits": head.replace("what stops it there", "what helps") + limit_rows,
    }


def word(outcome: Outcome) -> str:
    return "**succeeds**" if outcome.succeeded else "not tried" if outcome.not_tried else "fails"


def written(page: str, made: Mapping[str, str]) -> str:
    """The page with these tables in it."""
    for name, table in made.items():
        start, end = f"<!-- {name} -->\n", "<!-- end -->"
        head, _, rest = page.partition(start)
        page = head + start + table + rest[rest.index(end) :]
    return page


def told() -> dict[str, tuple[str, str, str, str]]:
    """By try: what the page says of it in its two tables of all columns."""
    rows = re.findall(
        r"^\| `([\w-]+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: (sentence, user, system, stops) for name, sentence, user, system, stops in rows}


def succeeds(column: int) -> set[str]:
    """The tries that succeed by that column of the page: 1 is user mode, 2 is system mode."""
    return {name for name, cells in told().items() if cells[column] == "**succeeds**"}


def listed(one: Try) -> tuple[str, str]:
    cells = told()[one.name]
    return cells[0], cells[3]
