"""A task in words: what it may, what it lists, what is left of it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any


def until(task: Mapping[str, Any]) -> str:
    """The time of day at which it is over; with the date where that is another day."""
    end = time.localtime(task["expires"])
    return time.strftime("%H:%M:%S" if task["expires"] - time.time() < 43200 else "%Y-%m-%d %H:%M", end)


def listed(task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What it lists beside its actions, line by line; nothing for a task that lists nothing."""
    said = any(task[key] for key in ("profile", "tools", "destinations", "budget", "present"))
    if not said and task["ceiling"] == "restricted":
        return
    if task["profile"]:
        yield "profile", task["profile"]
    yield "tools", ", ".join(tool(one) for one in task["tools"]) or "none"
    yield "data", f"up to {task['ceiling']}"
    yield "may go to", ", ".join(task["destinations"]) or "nowhere"
    yield "may spend", amounts(task["budget"]) or "without limit"
    if task["present"]:
        yield "present", "its person must be there"


def tool(grant: Mapping[str, Any]) -> str:
    """Its name, and which of its arguments are bounded."""
    bounded = [*grant["arguments"], *([] if grant["others"] else ["no other"])]
    return str(grant["tool"]) + (f" ({', '.join(bounded)})" if bounded else "")


def amounts(budget: Mapping[str, int]) -> str:
    """`500 calls, 2,000,000 tokens`."""
    return ", ".join(f"{amount:,} {kind}" for kind, amount in budget.items())


def marks(task: Mapping[str, Any]) -> str:
    """What came into it."""
    outside = ", and content from outside" if task["untrusted"] else ""
    return f"{task['high']} data{outside}"
