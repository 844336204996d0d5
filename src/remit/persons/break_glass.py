"""Break-glass: what one opening is, what may open it, until when it holds, and who may review it. Pure."""

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.errors import NotFoundError, RemitError, UsageError

MAX_SECONDS: Final = 1800.0
MIN_REASON: Final = 10
MAX_REASON: Final = 200
REVIEW_SECONDS: Final = 86400.0
MAX_WAIT_SECONDS: Final = 20.0  # within what a command waits for its answer
CONTROL: Final = "control"
EMERGENCY: Final = "an emergency instance"
_HEADER_SAFE: Final = re.compile(r"[^\x20-\x7e]")


class BreakGlassError(RemitError):
    """It may not be opened, closed or reviewed so."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by two clocks: Unix seconds, and seconds since the boot that `boot` names, which nobody sets."""

    now: float
    steady: float
    boot: str


@dataclass(frozen=True, slots=True)
class Review:
    """`by` looked at it. By the person who opened it: self-reviewed, which is never the same as reviewed."""

    by: str
    at: float
    note: str
    self_reviewed: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening. `proof` is how its person was known, `through` what granted it: control, or an emergency instance.

    `opened`, `until` and `closed` are Unix seconds; `steady` and `boot` say the moment by the clock nobody sets.
    """

    id: str
    person: str
    uid: int
    proof: str
    reason: str
    opened: float
    until: float
    steady: float
    boot: str
    through: str
    closed: float | None = None
    why: str = ""
    review: Review | None = None

    @classmethod
    def begun(
        cls, person: str, uid: int, proof: str, reason: str, seconds: float, *, through: str, at: Moment
    ) -> "Opening":
        """An opening from now on, with an id of its own; nothing is written yet."""
        return cls(
            id="bg-" + secrets.token_hex(6),
            person=person,
            uid=uid,
            proof=proof,
            reason=reason,
            opened=at.now,
            until=at.now + seconds,
            steady=at.steady,
            boot=at.boot,
            through=through,
        )

    @property
    def in_emergency(self) -> bool:
        """Whether an emergency instance granted it: it ends with that one, and no other takes it up."""
        return self.through.startswith(EMERGENCY)

    def left(self, at: Moment) -> float:
        """Seconds that it is still open, by whichever clock ends it first; 0 after another boot."""
        if self.closed is not None or at.boot != self.boot:
            return 0.0
        whole = self.until - self.opened
        by_wall = min(self.until - at.now, whole)
        return max(0.0, min(by_wall, whole - max(0.0, at.steady - self.steady)))

    def standing(self, at: Moment) -> str:
        """As it is shown: `open`, `review due`, `review overdue`, `self-reviewed`, `reviewed`."""
        if self.review is not None:
            return "self-reviewed" if self.review.self_reviewed else "reviewed"
        if self.left(at) > 0:
            return "open"
        return "review overdue" if at.now > self.opened + REVIEW_SECONDS else "review due"

    def said(self) -> str:
        """What every reply says while it is open, safe in a header."""
        until = time.strftime("%H:%M:%S", time.localtime(self.until))
        return _HEADER_SAFE.sub("?", f"{self.person} until {until}: {self.reason}")

    def to_dict(self, at: Moment) -> dict[str, Any]:
        review = self.review
        return {
            "id": self.id,
            "person": self.person,
            "uid": self.uid,
            "proof": self.proof,
            "reason": self.reason,
            "opened": self.opened,
            "until": self.until,
            "through": self.through,
            "closed": self.closed,
            "why": self.why,
            "left": round(self.left(at), 1),
            "standing": self.standing(at),
            "review": None
            if review is None
            else {"by": review.by, "at": review.at, "note": review.note, "self_reviewed": review.self_reviewed},
        }


_TIME: Final = (int, float)
_OPENED: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("id", "person", "proof", "reason", "boot", "through", "why"), str),
    **dict.fromkeys(("opened", "until", "steady"), _TIME),
    **dict.fromkeys(("closed", "review"), type(None)),
    "uid": int,
}
_REVIEWED: Final[Mapping[str, Any]] = {"by": str, "at": _TIME, "note": str, "self_reviewed": bool}


def check_asked(reason: str, seconds: float) -> str:
    """The reason as it is kept; raises UsageError for what can't be one, or for more than MAX_SECONDS."""
    said = " ".join(reason.split(" ")).strip()
    if len(said) < MIN_REASON:
        raise UsageError("the reason is too short", hint=f"say in {MIN_REASON} letters or more what is broken")
    if len(said) > MAX_REASON or not said.isprintable():
        raise UsageError(f"the reason must be one line of at most {MAX_REASON} printable letters")
    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError("break-glass opens for at most 30 minutes", hint="open it again when they are over")
    return said


def wait_after(wrong: int) -> float:
    """Seconds that the answer to a wrong code is held back, the `wrong`th in a row. A right one never waits."""
    return min(MAX_WAIT_SECONDS, 2.0 ** min(wrong - 1, 10)) if wrong > 0 else 0.0


def check_none_open(openings: Iterable[Opening], at: Moment) -> None:
    """Raises BreakGlassError while one is open: it is not prolonged."""
    for one in openings:
        if one.left(at) > 0:
            until = time.strftime("%H:%M:%S", time.localtime(at.now + one.left(at)))
            raise BreakGlassError(
                f"break-glass is open already, by {one.person} until {until}: it is not prolonged",
                hint="`remit break-glass show` tells more; open it again when it is over",
            )


def reviewed(opening: Opening, by: str, note: str, at: Moment, *, alone: bool) -> Review:
    """Its review by `by`; `alone`: nobody else has an account here. Raises BreakGlassError, UsageError."""
    if opening.left(at) > 0:
        raise BreakGlassError("it is still open", hint="review it when it is over")
    if opening.review is not None and not (opening.review.self_reviewed and by != opening.person):
        raise BreakGlassError(f"it was reviewed already, by {opening.review.by}")
    if len(note.strip()) < MIN_REASON or len(note) > MAX_REASON or not note.isprintable():
        raise UsageError(f"the note must be one line of {MIN_REASON} to {MAX_REASON} letters")
    own = by == opening.person
    if own and not alone:
        raise BreakGlassError(f"{by} opened it: another person reviews it")
    return Review(by, at.now, note.strip(), own)


def fold(rows: Iterable[Mapping[str, Any]]) -> dict[str, Opening]:
    """The openings that these events tell of, oldest first. What can't be read is left out: the book tells of it."""
    found: dict[str, Opening] = {}
    for row in rows:
        known = found.get(str(row.get("id")))
        match row:
            case {"what": "opened", "id": str(opening_id), "opening": dict(facts)} if _sound(facts, _OPENED):
                found[opening_id] = Opening(**facts)
            case {"what": "closed", "at": float(at), "why": str(why)} if known is not None and known.closed is None:
                found[known.id] = replace(known, closed=at, why=why)
            case {"what": "reviewed", "review": dict(facts)} if known is not None and _sound(facts, _REVIEWED):
                found[known.id] = replace(known, review=Review(**facts))
    return found


def _sound(facts: Mapping[str, Any], kinds: Mapping[str, Any]) -> bool:
    """Whether these are the fields of a record, each of its kind."""
    return facts.keys() == kinds.keys() and all(isinstance(facts[name], kind) for name, kind in kinds.items())


def named(openings: Mapping[str, Opening], opening_id: str) -> Opening:
    """The opening of that id; raises NotFoundError."""
    if opening_id not in openings:
        raise NotFoundError(f"no opening is called `{opening_id}`", hint="`remit break-glass list` shows them")
    return openings[opening_id]
