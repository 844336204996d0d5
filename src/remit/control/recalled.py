"""What the log is told of openings of break-glass, and those that it knows of and the book does not any more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from remit.control.ended import opened_openings
from remit.persons.break_glass import Opening
from remit.persons.openings_book import OpeningsBook

SECONDS: Final = 30 * 86400.0  # of the log that is read for it; it is kept for longer


def forgotten(log: Path, known: set[str], names: Mapping[str, str], now: float) -> list[Opening]:
    """Those of the last SECONDS, over and due for review. `names` are people's by pseudonym. Raises AuditError."""
    told = opened_openings(log, now - SECONDS)
    return [
        _opening(one, names.get(person, person), facts) for one, (person, facts) in told.items() if one not in known
    ]


def keep_again(book: OpeningsBook, opening: Opening) -> None:
    """In the book again; the log has it already. Raises StateError."""
    book.opened(opening)
    for name, row in book.unrecorded():
        if row["id"] == opening.id:
            book.recorded(name)


def _opening(opening_id: str, person: str, facts: dict[str, Any]) -> Opening:
    """As far as the log tells: of no boot, so that it is open under none."""
    opened = float(facts.get("opened", 0.0))
    return Opening(
        id=opening_id,
        person=person,
        uid=int(facts.get("uid", -1)),
        proof=str(facts.get("proof", "")),
        reason=str(facts.get("reason", "")),
        opened=opened,
        until=float(facts.get("until", opened)),
        steady=0.0,
        boot="",
        through=str(facts.get("through", "")),
    )


def told(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of the log: people are pseudonyms there, and are named by the record itself."""
    flat = {**facts, **facts.get("opening", {}), **facts.get("review", {})}
    return {
        key: value for key, value in flat.items() if key not in {"opening", "review", "person", "by", "boot", "id"}
    }
