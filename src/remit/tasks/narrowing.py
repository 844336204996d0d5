"""Narrowing: what a task may, out of its profile or of the task it was cut from. The one way to less. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from remit.detect import Label
from remit.errors import RemitError
from remit.tasks.budget import KINDS, UNLIMITED, Budget
from remit.tasks.grant import ToolGrant, all_narrower
from remit.tasks.tool_part import ToolPart

SCALE: Final = (Label.PUBLIC, Label.INTERNAL, Label.CONFIDENTIAL, Label.RESTRICTED)
ANY: Final = "*"


class WiderError(RemitError):
    """What is asked for is more than there is, or can't be told to be less. `key` is the fact."""

    exit_code = 3

    def __init__(self, key: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key


@dataclass(frozen=True, slots=True)
class Reach:
    """What may happen. No tools and no destinations: none. `ceiling` is the most sensitive data that may be in it."""

    actions: tuple[str, ...] = ()
    tools: tuple[ToolGrant, ...] = ()
    ceiling: Label = Label.RESTRICTED
    destinations: tuple[str, ...] = ()
    budget: Budget = UNLIMITED
    present: bool = False


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The part that is asked for. What is None is as it was, and so is each kind of `budget` without a limit.

    A `ToolPart` is as it was but for what it says, a `ToolGrant` just as it is.
    """

    actions: tuple[str, ...] | None = None
    tools: tuple[ToolGrant | ToolPart, ...] | None = None
    ceiling: Label | None = None
    destinations: tuple[str, ...] | None = None
    budget: Budget | None = None
    present: bool | None = None

    def alone(self) -> Reach:
        """What a task has that is cut from nothing: what is said, else no tools, no destinations and no limit."""
        said = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) is not None}
        tools = tuple(one.alone() if isinstance(one, ToolPart) else one for one in self.tools or ())
        return Reach(**{**said, "tools": tools})


AS_IT_WAS: Final = Narrowing()


def narrowed(reach: Reach, asked: Narrowing, whose: str = "the task") -> Reach:
    """The part of `reach` that is asked for; raises WiderError for what isn't certainly one.

    1. none but its actions, at least one
    2. each tool within one of its grants
    3. the ceiling no higher
    4. each destination within one of its own
    5. no kind of the budget larger
    6. where a person must be present, one must stay so

    Left to the caller: that parts of a task spend from its budget (`budget.Accounts`), and how long it lasts.
    """
    return Reach(
        _actions(reach.actions, asked.actions, whose),
        _tools(reach.tools, asked.tools, whose),
        _ceiling(reach.ceiling, asked.ceiling, whose),
        _destinations(reach.destinations, asked.destinations, whose),
        _budget(reach.budget, asked.budget, whose),
        _present(reach.present, asked.present, whose),
    )


def ceiling_of(text: object) -> Label:
    """The label that a ceiling is written as; raises ValueError."""
    if text not in SCALE:
        raise ValueError(f"`{text}` is no ceiling: one of {', '.join(label.value for label in SCALE)}")
    return Label(str(text))


def within(destination: str, rules: Sequence[str]) -> bool:
    """Whether a destination, or a rule for some, is in one of these: the same, below `*.`, or `*`, which is any."""
    return any(rule in {ANY, destination} or (rule[:2] == "*." and destination.endswith(rule[1:])) for rule in rules)


def _actions(may: tuple[str, ...], asked: tuple[str, ...] | None, whose: str) -> tuple[str, ...]:
    if asked is None:
        return may
    if more := [action for action in asked if action not in may]:
        raise WiderError("actions", f"{whose} does not let `{more[0]}` happen", hint=f"it may {', '.join(may)}")
    if not asked:
        raise WiderError("actions", "no action is asked for", hint=f"{whose} may {', '.join(may)}")
    return tuple(action for action in may if action in asked)


def _tools(
    grants: tuple[ToolGrant, ...], asked: tuple[ToolGrant | ToolPart, ...] | None, whose: str
) -> tuple[ToolGrant, ...]:
    if asked is None:
        return grants
    parts = tuple(part for one in asked for part in _parts(one, grants, whose))
    wider = all_narrower(parts, grants)
    if wider is not None:
        raise _wider(wider.tool, grants, whose)
    return parts


def _parts(asked: ToolGrant | ToolPart, grants: tuple[ToolGrant, ...], whose: str) -> tuple[ToolGrant, ...]:
    if isinstance(asked, ToolGrant):
        return (asked,)
    parts = asked.of(grants)
    if not parts:
        raise _wider(asked.tool, grants, whose)
    return parts


def _wider(tool: str, grants: tuple[ToolGrant, ...], whose: str) -> WiderError:
    listed = ", ".join(f"`{grant.tool}`" for grant in grants[:8]) or "none"
    return WiderError(
        "tools",
        f"`{tool}` with these arguments is more than {whose} lists",
        hint=f"it lists {listed}: name one of them, with each of its constraints as tight or tighter",
    )


def _ceiling(ceiling: Label, asked: Label | None, whose: str) -> Label:
    if asked is None:
        return ceiling
    if SCALE.index(asked) > SCALE.index(ceiling):
        raise WiderError("ceiling", f"`{asked.value}` is above what {whose} may see, which is `{ceiling.value}`")
    return asked


def _destinations(may: tuple[str, ...], asked: tuple[str, ...] | None, whose: str) -> tuple[str, ...]:
    if asked is None:
        return may
    if more := [one for one in asked if not within(one, may)]:
        hint = f"it may send to {', '.join(may)}" if may else "it may send nowhere"
        raise WiderError("destinations", f"{whose} does not let anything be sent to `{more[0]}`", hint=hint)
    return asked


def _budget(budget: Budget, asked: Budget | None, whose: str) -> Budget:
    if asked is None:
        return budget
    limits: dict[str, Any] = {**budget.to_dict(), **asked.to_dict()}
    part = Budget(**{kind: limits.get(kind) for kind in KINDS})
    if over := part.over(budget):
        raise WiderError("budget", f"`{over}` is {limits[over]:,}, and {whose} has {getattr(budget, over):,}")
    return part


def _present(present: bool, asked: bool | None, whose: str) -> bool:
    if present and asked is False:
        raise WiderError("present", f"a person must be present for {whose}, and for every part of it")
    return present or bool(asked)
