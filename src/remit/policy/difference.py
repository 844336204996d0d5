"""Whether what policies leave open is more or less than it was, and by which of them. Pure."""

import enum
from collections.abc import Mapping

from remit.policy.permit import PolicyRef
from remit.policy.residue import Reach, Residue, Rest


class Kind(enum.StrEnum):
    GAIN = "gain"
    MAY_GAIN = "may gain"  # conditions differ, and nothing shows that the new ones are narrower
    LOSS = "loss"
    MAY_LOSE = "may lose"

    @property
    def grows(self) -> bool:
        return self in {Kind.GAIN, Kind.MAY_GAIN}


def difference(before: Residue, after: Residue, *, moved: bool = False) -> tuple[Kind | None, tuple[PolicyRef, ...]]:
    """What came of one who, action and what. `moved`: destinations that conditions may read are others now."""
    if before.reach is Reach.NEVER or after.reach is Reach.NEVER:
        if before.reach is after.reach:
            return None, ()
        gain = before.reach is Reach.NEVER
        return (Kind.GAIN, _refs(after.permits)) if gain else (Kind.LOSS, _lost(before, after))
    gains, losses = _more(before, after), _more(after, before)
    if before.reach is Reach.SOMETIMES and after.reach is Reach.ALWAYS:
        return Kind.GAIN, gains or _refs(after.permits)
    if gains or moved:
        return Kind.MAY_GAIN, gains or _refs(after.permits)
    if before.reach is Reach.ALWAYS and after.reach is Reach.SOMETIMES:
        return Kind.LOSS, losses or _refs(after.forbids)
    return (Kind.MAY_LOSE, losses) if losses else (None, ())


def _more(before: Residue, after: Residue) -> tuple[PolicyRef, ...]:
    """The policies by which `after` may allow what `before` doesn't, or allow it with less; none: it can't.

    Permits added, forbids or permits that fail taken away, and permits taken away that were stricter than what stays.
    """
    found: list[PolicyRef] = []
    gone = [(rest, ref) for rest, ref in before.permits.items() if rest not in after.permits]
    if before.reach is not Reach.ALWAYS:
        found += [ref for rest, ref in after.permits.items() if rest not in before.permits]
        found += [ref for rest, ref in before.forbids.items() if rest not in after.forbids]
        found += [ref for rest, ref in gone if rest.can_fail]
    found += [ref for rest, ref in gone if _stricter(rest, after)]
    return tuple(dict.fromkeys(found))


def _stricter(rest: Rest, after: Residue) -> bool:
    """Whether without it something of what stays may be allowed with less."""
    return any(
        own > min(level, default=own)
        for own, *level in zip(rest.strictness, *(one.strictness for one in after.permits), strict=True)
    )


def _lost(before: Residue, after: Residue) -> tuple[PolicyRef, ...]:
    return _refs(after.forbids) or _refs(before.permits)


def _refs(some: Mapping[Rest, PolicyRef]) -> tuple[PolicyRef, ...]:
    return tuple(dict.fromkeys(some.values()))
