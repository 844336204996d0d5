"""Questions that differ in one thing from one whose answer is known: Cedar is not asked where no policy reads it."""

from typing import Final

from remit.policy.question import Question
from remit.policy.slicing import Slice

# Where what differs stands in the context. All else (who asks for what) is asked again.
_KEYS: Final = (
    ("proof", "proof"),
    ("exhaustive", "exhaustive"),
    ("stream", "stream"),
    ("model", "model"),
    ("digest", "model"),
    ("approved", "model"),
    ("found", "found"),
    ("found_labels", "found_labels"),
    ("task", "task"),
    ("asked", "asked"),
    ("grade", "grade"),
)
_REST: Final = (
    "principal",
    "owner",
    "enrolled",
    "human",
    "action",
    "resource",
    "resource_owner",
    "thing",
)
_CIRCUMSTANCES: Final = (
    ("moment", "time"),
    ("presence", "presence"),
    ("facts", "facts"),
    ("zone", "zone"),
    ("args", "args"),
    ("flow", "flow"),
    ("destination", "destination"),
    ("chain", "delegation"),
    ("access", "access"),
)


def alike(one: Question, other: Question, some: Slice) -> bool:
    """Whether these policies can't tell the two apart: `some` is the slice of both."""
    if some.reads is None or any(getattr(one, key) is not getattr(other, key) for key in _REST):
        return False
    return _unread(one, other, _KEYS, some.reads) and (
        one.circumstances is other.circumstances
        or _unread(one.circumstances, other.circumstances, _CIRCUMSTANCES, some.reads)
    )


def _unread(one: object, other: object, keys: tuple[tuple[str, str], ...], reads: frozenset[str]) -> bool:
    return not any(key in reads and getattr(one, name) != getattr(other, name) for name, key in keys)
