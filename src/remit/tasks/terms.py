"""On what terms a task begins, or goes on: out of its profile where it has one, never more than that. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from remit.errors import UsageError
from remit.tasks import profile as of_a_profile
from remit.tasks.asked import check_size
from remit.tasks.budget import KINDS, Budget
from remit.tasks.narrowing import Narrowing, Reach, WiderError, narrowed
from remit.tasks.profile import MAX_SECONDS, Profile
from remit.tasks.task import Task

USUAL_SECONDS: Final = 1800.0
CALL: Final = "call_tool"
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a task is to be. `seconds` is its life."""

    reach: Reach
    seconds: float
    purpose: str = ""
    profile: str = ""


def terms(asked: Narrowing, seconds: float | None, purpose: str, profile: Profile | None) -> Terms:
    """Raises UsageError for what makes no task, WiderError for more than the profile lets happen.

    Left to the caller: who may start such a task, and whether there is its workload.
    """
    reach = asked.alone() if profile is None else of_a_profile.of(profile, asked)
    if not reach.actions:
        raise UsageError(
            "no action is named",
            hint="`--allow infer,list` says what the task may do, `--profile NAME` names a template",
        )
    if asked.tools and CALL not in reach.actions:
        raise UsageError(
            "tools are listed, and the task may not call any", hint=f"it needs `{CALL}` among its actions"
        )
    check_size(reach)
    longest = MAX_SECONDS if profile is None else profile.seconds
    lasting = min(USUAL_SECONDS, longest) if seconds is None else seconds
    _check_life(lasting, profile)
    named = "" if profile is None else profile.name
    return Terms(reach, lasting, purpose or (profile.purpose if profile is not None else ""), named)


def extended(task: Task, seconds: float | None, budget: Budget, profile: Profile | None, now: float) -> Task:
    """The task with `seconds` of life from `now` on, and with these limits; raises UsageError or WiderError.

    1. it is no part: those end with what they were cut from, and anybody who holds that cuts another
    2. it gets more life, not less, and all of it is no longer than its profile's, and 7 days
    3. no limit gets smaller, as somebody may have reserved it already
    4. what it may by now is no more than its profile is now

    Left to the caller: whether it is live, and who may.
    """
    # 1
    if task.parent is not None:
        raise UsageError(f"`{task.id}` is a part of `{task.parent}`", hint="another part can be cut from that")
    # 2
    expires = task.expires if seconds is None else now + seconds
    if seconds is not None and expires <= task.expires:
        raise UsageError(f"`{task.id}` lasts longer than that already", hint="extending never makes it shorter")
    _check_life(expires - task.started, profile)
    # 3
    limits = _raised(task.budget, budget)
    # 4
    if profile is not None:
        reach = replace(task.reach, budget=limits)
        same = Narrowing(reach.actions, reach.tools, reach.ceiling, reach.destinations, reach.budget, reach.present)
        narrowed(profile.reach, same, f"the profile `{profile.name}`")
        if over := limits.over(profile.reach.budget):  # `narrowed` takes no limit for the profile's own
            raise WiderError(
                "budget", f"`{over}` has no limit in this task, and in the profile `{profile.name}` it has"
            )
    return replace(task, expires=expires, budget=limits)


def _raised(budget: Budget, asked: Budget) -> Budget:
    limits = {**budget.to_dict(), **asked.to_dict()}
    for kind in asked.to_dict():
        if getattr(budget, kind) is None:
            raise UsageError(f"`{kind}` has no limit in this task", hint="there is nothing to extend")
        if limits[kind] < getattr(budget, kind):
            raise UsageError(
                f"`{kind}` is {getattr(budget, kind):,} already", hint="say all that it may spend, not what is added"
            )
    return Budget(**{kind: limits.get(kind) for kind in KINDS})


def _check_life(seconds: float, profile: Profile | None) -> None:
    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError("a task lasts more than 0 seconds and at most 7 days", hint="for example `--for 30m`")
    if profile is not None and seconds > profile.seconds:
        raise WiderError(
            "seconds", f"a task of the profile `{profile.name}` lasts {_length(profile.seconds)} at most"
        )


def _length(seconds: int) -> str:
    """As people write it, in the largest unit that leaves no rest."""
    size, unit = next(one for one in _UNITS if seconds % one[0] == 0)
    return f"{seconds // size:,}{unit}"
