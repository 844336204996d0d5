"""What is asked of a task beside its actions and its life, as JSON has it: read strictly, at most so much. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final

from remit.errors import UsageError
from remit.tasks import declaration
from remit.tasks.budget import UNLIMITED, Budget
from remit.tasks.declaration import MAX_TOOLS, Misfit
from remit.tasks.narrowing import Narrowing, Reach
from remit.tasks.tool_part import ToolPart

KEYS: Final = ("tools", "ceiling", "destinations", "budget", "present")
MAX_EXPRESSIONS: Final = 32  # asked for at once: each takes up to 3 ms to compile, while nobody else has a turn
MAX_LISTED: Final = 32_768  # characters of a task's tools and destinations as JSON: they fit a record of the log


def narrowing_of(row: Mapping[str, Any]) -> Narrowing:
    """The part that is asked for: what isn't there is as it was. Raises UsageError.

    A tool is its name, or `{"tool": name, "arguments": {…}, "others": …}` as a profile has it.
    """
    try:
        declaration.known((), row, KEYS)
        return Narrowing(
            tools=_tools(row["tools"]) if "tools" in row else None,
            ceiling=declaration.ceiling(row, "") if "ceiling" in row else None,
            destinations=_printable("destinations", declaration.texts(row, "destinations"))
            if "destinations" in row
            else None,
            budget=declaration.budget(row) if "budget" in row else None,
            present=declaration.of_kind(row, "present", bool, False) if "present" in row else None,
        )
    except Misfit as misfit:
        raise UsageError(misfit.message, hint=misfit.hint) from None
    except RecursionError:
        raise UsageError("what is asked of the task is nested too deeply") from None


def budget_of(row: Mapping[str, Any]) -> Budget:
    """Raises UsageError."""
    return narrowing_of({"budget": row}).budget or UNLIMITED


def check_size(reach: Reach) -> None:
    """Raises UsageError for lists that are longer than every Snapshot may carry for one task."""
    if listed(reach) > MAX_LISTED:
        raise UsageError(
            f"what the task lists is longer than {MAX_LISTED:,} characters", hint="name fewer tools and destinations"
        )


def expressions(reach: Reach) -> frozenset[str]:
    """The expressions in its conditions: each is compiled once, wherever it is in force."""
    bounds = (bound for grant in reach.tools for _, bound in grant.constraints)
    return frozenset(bound.matches for bound in bounds if bound.matches is not None)


def listed(reach: Reach) -> int:
    """How long its tools and destinations are, in characters of JSON."""
    if not reach.tools and not reach.destinations:
        return 0
    return len(json.dumps([[grant.to_dict() for grant in reach.tools], reach.destinations]))


def _tools(rows: Any) -> tuple[ToolPart, ...]:
    if not isinstance(rows, list) or len(rows) > MAX_TOOLS:
        raise Misfit(("tools",), f"`tools` must be a list, at most {MAX_TOOLS}")
    if sum(map(_expressions, rows)) > MAX_EXPRESSIONS:
        raise Misfit(("tools",), f"more than {MAX_EXPRESSIONS} conditions are `matches`", "say some by `one_of`")
    return tuple(_tool(row) for row in rows)


def _expressions(row: Any) -> int:
    bounds = row.get("arguments") if isinstance(row, dict) else None
    each = bounds.values() if isinstance(bounds, dict) else ()
    return sum(isinstance(bound, dict) and "matches" in bound for bound in each)


def _tool(row: Any) -> ToolPart:
    said = {"tool": row} if isinstance(row, str) else row
    if not isinstance(said, dict) or not isinstance(said.get("tool"), str):
        raise Misfit(("tools",), "a tool is its name, or an object with `tool`, `arguments` and `others`")
    part = declaration.tool(said["tool"], {key: value for key, value in said.items() if key != "tool"})
    _printable("tools", (part.tool, *(name for name, _ in part.constraints)))
    try:
        json.dumps(said, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no policy can be asked about it
        raise Misfit(("tools",), f"`{part.tool}` has a condition that is no text") from None
    return part


def _printable(key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """People are shown these: nothing in them may hide or move."""
    if odd := [name for name in names if not name.isprintable()]:
        raise Misfit((key,), f"`{key}` has a name that can't be shown: {odd[0][:80]!r}")
    return names
