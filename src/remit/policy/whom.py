"""Whom a refused caller can ask: the owner, or, of what has none, whoever writes the policies. Pure."""

from typing import Final

WRITER: Final = "whoever writes the policies on this machine"


def ask(owner: str) -> str:
    """As in `take it out, or …`."""
    return f"ask the owner, {owner}" if owner else f"ask {WRITER}"


def they(owner: str) -> str:
    """As in `…, can allow it`."""
    return f"the owner, {owner}," if owner else WRITER
