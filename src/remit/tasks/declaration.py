"""What may be said of a task, read strictly from a tree as TOML or JSON has it. Pure.

What is wrong is a Misfit with the path that leads to it: whoever asks knows best how to say where that is.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from remit.config.checks import nearest
from remit.detect import Label
from remit.tasks import constraint
from remit.tasks.budget import KINDS, UNLIMITED, Budget
from remit.tasks.constraint import Constraint
from remit.tasks.grant import KEYS as GRANT_KEYS
from remit.tasks.narrowing import ceiling_of
from remit.tasks.tool_part import ToolPart

MAX_TOOLS: Final = 500
MAX_LIST: Final = 1_000
# What tasks may be let do: what model servers and tools do. No task widens anybody's reach.
ACTIONS: Final = (
    *("infer", "embed", "list", "health", "administer", "disclose", "sample", "elicit"),
    *("call_tool", "retrieve", "read_resource", "get_prompt", "export", "use_credential"),
)
_KINDS: Final[Mapping[type, str]] = {str: "a string", int: "a whole number", bool: "true or false", dict: "a table"}

Path = tuple[str, ...]
Value = TypeVar("Value")


class Misfit(Exception):  # noqa: N818 - never shown as it is: each reader makes an error of its own from it
    """What can't be taken, by the path that leads to it."""

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path, self.message, self.hint = path, message, hint


def actions(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Each once."""
    named = texts(tree, "actions")
    for action in named:
        if action not in ACTIONS:
            raise Misfit(("actions",), f"`{action}` is no action", nearest(action, list(ACTIONS), "", "actions"))
    return tuple(dict.fromkeys(named))


def tool(name: str, row: Any) -> ToolPart:
    """One tool: its arguments' conditions, and whether others may be there."""
    at: Path = ("tools", name)
    if not isinstance(row, dict):
        raise Misfit(at, f"`tools.{name}` must be a table", f'write `[tools."{name}"]`')
    known(at, row, GRANT_KEYS)
    others = of_kind(row, "others", bool, True, at) if "others" in row else None
    bounds = of_kind(row, "arguments", dict, {}, at)
    constraints = tuple((key, _constraint((*at, "arguments", key), bound)) for key, bound in bounds.items())
    return _told(at, lambda: ToolPart(name, constraints, others))


def ceiling(tree: Mapping[str, Any], unsaid: str) -> Label:
    return _told(("ceiling",), lambda: ceiling_of(of_kind(tree, "ceiling", str, unsaid)))


def budget(tree: Mapping[str, Any]) -> Budget:
    row = of_kind(tree, "budget", dict, {})
    known(("budget",), row, KINDS)
    return _told(("budget",), lambda: Budget.from_dict(row)) if row else UNLIMITED


def texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row.get(key, [])
    if not isinstance(value, list) or len(value) > MAX_LIST or not all(isinstance(one, str) and one for one in value):
        raise Misfit((key,), f"`{key}` must be a list of strings, at most {MAX_LIST:,}")
    return tuple(value)


def of_kind(row: Mapping[str, Any], key: str, kind: type[Value], unsaid: Value, at: Path = ()) -> Value:
    value = row.get(key, unsaid)
    if type(value) is not kind:
        raise Misfit((*at, key), f"`{'.'.join((*at, key))}` must be {_KINDS[kind]}, not `{value!r}`")
    return value


def known(at: Path, row: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in row:
        if key not in keys:
            where = "".join(f"{part}." for part in at)
            raise Misfit((*at, key), f"`{where}{key}` means nothing", nearest(key, list(keys), ""))


def _constraint(at: Path, row: Any) -> Constraint:
    if not isinstance(row, dict):
        raise Misfit(at, f"`{at[-1]}` must be a table of conditions", 'such as `{ one_of = ["a"] }`')
    known(at, row, constraint.KEYS)
    return _told(at, lambda: Constraint.from_dict(row))


def _told(at: Path, made: Callable[[], Value]) -> Value:
    try:
        return made()
    except ValueError as error:
        raise Misfit(at, str(error)) from None
