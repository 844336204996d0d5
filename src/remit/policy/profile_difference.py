"""Whether tasks of a profile may do more or less than they did: the same rule as for a task and its profile. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from remit.policy.difference import Kind
from remit.tasks.narrowing import Narrowing, WiderError, narrowed
from remit.tasks.profile import Profile


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """`why` names what is more, or less."""

    kind: Kind
    name: str
    why: str


def profile_changes(old: Mapping[str, Profile], new: Mapping[str, Profile]) -> tuple[ProfileChange, ...]:
    """By name. What can't be told to be less is a `may gain`, as when a task is cut from a profile."""
    found = []
    for name in sorted({*old, *new}):
        change = _change(old.get(name), new.get(name))
        if change is not None:
            found.append(ProfileChange(change[0], name, change[1]))
    return tuple(found)


def _change(old: Profile | None, new: Profile | None) -> tuple[Kind, str] | None:
    if old is None:
        return Kind.MAY_GAIN, "it is new"
    if new is None:
        return Kind.LOSS, "it is gone"
    if more := _beyond(new, old):
        return Kind.MAY_GAIN, f"{more} is not within what it was"
    less = _beyond(old, new)
    return (Kind.LOSS, f"{less} is less than it was") if less else None


def _beyond(one: Profile, other: Profile) -> str:
    """What `one` lets happen that `other` may not; empty: nothing."""
    reach = one.reach
    whole = Narrowing(reach.actions, reach.tools, reach.ceiling, reach.destinations, reach.budget, reach.present)
    try:
        made = narrowed(other.reach, whole)
    except WiderError as error:
        return error.key
    if made.budget != reach.budget:  # a kind without a limit is taken to be as it was
        return "budget"
    return "seconds" if one.seconds > other.seconds else ""
