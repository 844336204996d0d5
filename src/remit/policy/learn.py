"""The least that would have let through what was observed: a permit for each who and what, its rows beside it. Pure.

Learned from allowed decisions alone: what was refused never becomes a permit, and neither does what a built-in rule
let through, such as break-glass, nor what was ended for being refused later.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.policy.explain import printable
from remit.policy.intent import Action
from remit.policy.mode import Approver
from remit.policy.quoting import quoted
from remit.policy.seen_when import SeenWhen
from remit.policy.thing import UNKNOWN
from remit.policy.treatment import LABELS

MAX_NAMED: Final = 16  # models named one by one; of more the permit names none
MAX_LEARNED: Final = 2_000
ROWS: Final = 3
OWNER, APPROVER = Approver.OWNER.word, Approver.APPROVER.word
SELF_CONFIRMED: Final = "self-confirmed"  # by its owner; of what was approved it isn't on record whose it had to be
_YEAR_10000: Final = 253_402_300_800  # in Unix seconds
_UNLISTED: Final = f"::{quoted(UNKNOWN)}"
_WORD: Final = re.compile(r"[^A-Za-z0-9]+")

Record = Mapping[str, Any]


@dataclass(slots=True)
class _Seen:
    """All that one principal was let do with one thing by one action."""

    rows: list[tuple[float, str]] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    proofs: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    digests_known: bool = True
    exhaustive: bool = True
    in_tasks: bool = True
    approver: str = ""
    when: SeenWhen = field(default_factory=SeenWhen)


@dataclass(frozen=True, slots=True)
class Learned:
    """`text` are the policies; `from_calls` were let through, `refused` and `skipped` were not learned from.

    Of `unlisted` were calls of what no catalogue lists: a permit for one of these would permit them all.
    """

    text: str
    policies: int
    from_calls: int
    refused: int
    skipped: int
    unlisted: int = 0


def learn(records: Iterable[Record], names: Mapping[str, str], trust_domain: str) -> Learned:
    """From `start` and `end` records. `names` are people by their pseudonyms; who has none there is not learned."""
    rows = list(records)
    cut = {row.get("id") for row in rows if row.get("kind") == "end" and row.get("outcome") in {"refused", "cut"}}
    seen: dict[tuple[str, str, str], _Seen] = {}
    refused = skipped = learned = unlisted = 0
    for row in rows:
        if row.get("kind") != "start":
            continue
        key = _key(row, names, trust_domain)
        if row.get("outcome") != "allowed":
            refused += 1
        elif key is None or row.get("id") in cut or _let_through_otherwise(row):
            skipped += 1
        elif key[2].endswith(_UNLISTED) or (row.get("facts") or {}).get("destination") == UNKNOWN:
            unlisted += 1
        elif key in seen or len(seen) < MAX_LEARNED:
            learned += 1
            _add(seen.setdefault(key, _Seen()), row)
        else:
            skipped += 1
    texts = [_permit(number, key, one) for number, (key, one) in enumerate(sorted(seen.items()), 1)]
    head = _head(learned, refused, skipped, unlisted)
    return Learned("\n\n".join([head, *texts]) + "\n", len(texts), learned, refused, skipped, unlisted)


def _let_through_otherwise(row: Record) -> bool:
    """By a built-in rule, because policies were only observed, or in a point's own words.

    Of these the log has but one: a permit that doesn't say whose and which would be for all of them.
    """
    facts = row.get("facts") or {}
    if row.get("action") == Action.ACCESS:
        return True
    observed = facts.get("observing") and facts.get("observed")
    return bool(observed) or str(row.get("rule")).startswith("remit:") or not row.get("policies")


def _key(row: Record, names: Mapping[str, str], domain: str) -> tuple[str, str, str] | None:
    """Principal, action and what was acted on, as Cedar names them."""
    name = names.get(str(row.get("person")))
    principal = row.get("workload") or (f"spiffe://{domain}/user/{name}" if name else None)
    if not principal or not row.get("action"):
        return None
    kind, thing = (row.get("facts") or {}).get("thing", ("Workload", row.get("resource")))
    return f"Workload::{quoted(str(principal))}", str(row["action"]), f"{kind}::{quoted(str(thing))}"


def _add(seen: _Seen, row: Record) -> None:
    seen.rows.append((float(row.get("t") or 0), str(row.get("id"))))
    seen.models.add(str(row.get("model") or ""))
    seen.proofs.add(str(row.get("proof")))
    seen.labels |= set((row.get("found") or {}).values())
    seen.digests_known &= str(row.get("model_digest")).startswith("sha256:")
    seen.exhaustive &= (row.get("facts") or {}).get("exhaustive") is True
    seen.in_tasks &= bool(row.get("task"))
    facts = row.get("facts") or {}
    seen.when.add(facts)
    if agreed := facts.get("approval"):
        own = agreed.get("kind") == SELF_CONFIRMED and seen.approver in {"", OWNER}
        seen.approver = OWNER if own else APPROVER


def _permit(number: int, key: tuple[str, str, str], seen: _Seen) -> str:
    principal, action, resource = key
    slug = "-".join(part for part in _WORD.split(f"{action} {resource.rpartition('/')[2]}") if part)[:60]
    lines = [
        *_why(seen),
        f'@id("learned-{number}-{slug}")',
        f'@reason("observed {"once" if len(seen.rows) == 1 else f"{len(seen.rows):,} times"}")',
        *([f'@approval("{seen.approver}")'] if seen.approver else []),
        *(f'@on_{label.value}("{"mask" if label.value in seen.labels else "refuse"}")' for label in LABELS),
        "permit (",
        f"  principal == {principal},",
        f"  action == Action::{quoted(action)},",
        f"  resource == {resource}",
        ")",
    ]
    conditions = _conditions(action, seen)
    return "\n".join(lines) + ("\nwhen { " + " && ".join(conditions) + " };" if conditions else ";")


def _why(seen: _Seen) -> list[str]:
    """The rows that justify it."""
    rows = sorted(seen.rows)
    shown = [*rows[:ROWS], *(rows[-1:] if len(rows) > ROWS else [])]
    calls = "1 call" if len(rows) == 1 else f"{len(rows):,} calls"
    times = f"// {calls}, {_moment(rows[0][0])} to {_moment(rows[-1][0])}: "
    ids = ", ".join(_comment(one) for _, one in shown)
    found = (
        "" if not seen.labels else f"\n// found in them: {', '.join(_comment(one) for one in sorted(seen.labels))}"
    )
    return [times + ids + (" …" if len(rows) > len(shown) else "") + found]


def _conditions(action: str, seen: _Seen) -> list[str]:
    """What was so each time."""
    proofs = ", ".join(quoted(one) for one in sorted(seen.proofs))
    found = [f"[{proofs}].contains(context.proof)"]
    models = sorted(seen.models)
    if models != [""] and len(models) <= MAX_NAMED:
        found.append(f"[{', '.join(quoted(one) for one in models)}].contains(context.model.name)")
    if models != [""] and seen.digests_known:
        found.append("context.model.known")
    if seen.exhaustive:
        found.append("context.exhaustive")
    if seen.in_tasks:
        found.append(f"context has task && context.task.actions.contains({quoted(action)})")
    return [*found, *seen.when.conditions()]


def _head(learned: int, refused: int, skipped: int, unlisted: int) -> str:
    more = (
        f"\n// Not from {unlisted} of what the catalogue doesn't list: a permit for one of these would permit all\n"
        "// of it. List it there first."
    )
    return (
        f"// Learned from {learned} calls that were allowed. Not from: {refused} that were refused, {skipped} that\n"
        "// a built-in rule let through, that were ended early, of nobody known, or in a point's own words. Read it\n"
        "// before you put it in force: what was observed is not yet what should be."
    ) + (more if unlisted else "")


def _comment(text: str) -> str:
    """Within one line of a comment."""
    return printable(text)[:80]


def _moment(t: float) -> str:
    if not 0 <= t < _YEAR_10000:  # a record may say any number
        return f"t {t:.0f}"
    days, seconds = divmod(int(t), 86_400)
    era, day = divmod(days + 719_468, 146_097)  # 400 years from 1 March 0000, so that a leap day is a year's last
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    date = f"{era * 400 + year + month // 10:04}-{(month + 2) % 12 + 1:02}-{day - (153 * month + 2) // 5 + 1:02}"
    return f"{date}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"
