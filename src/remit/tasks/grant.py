"""A tool that a task may call, and with which arguments. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.tasks import constraint
from remit.tasks.constraint import Constraint

MOST_NAME: Final = 512  # characters of a tool's or an argument's name
MOST_ARGUMENTS: Final = 256
KEYS: Final = ("arguments", "others")


@dataclass(frozen=True, slots=True)
class ToolGrant:
    """`tool` is the tool's id, or the beginning of ids with `*` after it. `constraints` are by argument, sorted.

    `others`: whether arguments that have no constraint may be there, with any value. Raises ValueError.
    """

    tool: str
    constraints: tuple[tuple[str, Constraint], ...] = ()
    others: bool = True
    _names: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.tool) <= MOST_NAME or "*" in self.tool[:-1]:
            raise ValueError(f"`{self.tool[:80]}` is no tool: a name, or its beginning and `*` at the end")
        names = [name for name, _ in self.constraints]
        if len(set(names)) != len(names) or len(names) > MOST_ARGUMENTS:
            raise ValueError(f"an argument of `{self.tool}` is there twice, or there are over {MOST_ARGUMENTS}")
        object.__setattr__(self, "_names", frozenset(names))
        object.__setattr__(self, "constraints", tuple(sorted(self.constraints, key=lambda one: one[0])))

    def covers(self, tool: str, arguments: object) -> bool:
        """Whether this call is within. `arguments` as JSON has them; None where they aren't known."""
        if not within(tool, self.tool):
            return False
        if self.others and not self.constraints:
            return True
        if not isinstance(arguments, Mapping):
            return False
        if not self.others and not arguments.keys() <= self._names:
            return False
        return all(bound.holds(arguments.get(name)) for name, bound in self.constraints)

    def to_dict(self) -> dict[str, Any]:
        arguments = {name: bound.to_dict() for name, bound in self.constraints}
        return {"tool": self.tool, "arguments": arguments, "others": self.others}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "ToolGrant":
        """Raises ValueError."""
        said = row.get("arguments", {})
        constraints = tuple((name, Constraint.from_dict(bound)) for name, bound in said.items())
        return cls(row["tool"], constraints, row.get("others", True))


def narrower(child: ToolGrant, parent: ToolGrant) -> bool:
    """Whether it is certain that whatever `child` covers, `parent` covers."""
    if not within(child.tool, parent.tool):
        return False
    own = dict(child.constraints)
    if not parent.others and (child.others or not own.keys() <= dict(parent.constraints).keys()):
        return False
    return all(_held(own.get(name), bound, child.others) for name, bound in parent.constraints)


def all_narrower(children: Iterable[ToolGrant], parents: Iterable[ToolGrant]) -> ToolGrant | None:
    """The first child that is in no single one of the parents; None where each is."""
    parents = tuple(parents)
    return next((child for child in children if not any(narrower(child, parent) for parent in parents)), None)


def _held(own: Constraint | None, bound: Constraint, others: bool) -> bool:
    """Whether the parent's constraint of an argument holds: by the child's, or as the argument is never there."""
    if own is None:
        return not others and bound.optional
    return constraint.narrower(own, bound)


def within(tool: str, rule: str) -> bool:
    """Whether a tool, or a rule for some, is named by this one."""
    return tool.startswith(rule[:-1]) if rule.endswith("*") else tool == rule
