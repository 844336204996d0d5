"""What is said of a task beside its actions and its life: options that several commands share."""

import tomllib
from typing import Annotated, Any

import typer

from remit.errors import UsageError

AllowOption = Annotated[
    str, typer.Option("--allow", metavar="ACTION[,ACTION]", help="What the task may do; of a profile, all it may.")
]
ProfileOption = Annotated[str, typer.Option("--profile", metavar="NAME", help="The template that it is one of.")]
ToolOption = Annotated[
    list[str] | None,
    typer.Option("--tool", metavar="TOOL", help="A tool that it may call, and how; may be given again."),
]
CeilingOption = Annotated[
    str, typer.Option("--ceiling", metavar="LABEL", help="The most sensitive data that may be in it.")
]
ToOption = Annotated[
    list[str] | None, typer.Option("--to", metavar="DESTINATION", help="Where data may go; may be given again.")
]
CallsOption = Annotated[int | None, typer.Option("--calls", metavar="N", help="How many calls it may make in all.")]
TokensOption = Annotated[int | None, typer.Option("--tokens", metavar="N", help="How many tokens, in and out.")]
BytesOption = Annotated[int | None, typer.Option("--bytes", metavar="N", help="How many bytes, in and out.")]
SecondsOption = Annotated[
    int | None, typer.Option("--seconds", metavar="N", help="How long its calls may take together.")
]
PresentOption = Annotated[bool, typer.Option("--present", help="Its person must be there.")]
PurposeOption = Annotated[str, typer.Option("--purpose", help="What it is for, in your words.")]


def lists(
    profile: str,
    tools: list[str] | None,
    ceiling: str,
    to: list[str] | None,
    budget: dict[str, int],
    present: bool,
) -> dict[str, Any]:
    """As the control API takes it: what isn't said isn't there."""
    said: dict[str, Any] = {
        "profile": profile,
        "tools": [_tool(one) for one in tools or ()],
        "ceiling": ceiling,
        "destinations": list(to or ()),
        "budget": budget,
        "present": present,
    }
    return {key: value for key, value in said.items() if value}


def limits(calls: int | None, tokens: int | None, size: int | None, seconds: int | None) -> dict[str, int]:
    """Those that are given. `size` is bytes."""
    said = {"calls": calls, "tokens": tokens, "bytes": size, "seconds": seconds}
    return {kind: amount for kind, amount in said.items() if amount is not None}


def actions(allow: str) -> list[str]:
    """Named with commas between; none where nothing is said."""
    return [one.strip() for one in allow.split(",")] if allow else []


def _tool(text: str) -> dict[str, Any] | str:
    """A name, or a name and what a profile says of one: `mail/send arguments.to = {equals = "a@b.c"}`."""
    name, _, rest = text.strip().partition(" ")
    if not rest:
        return name
    try:
        row: dict[str, Any] = tomllib.loads(f"tool = {{{rest}}}")["tool"]
    except (ValueError, RecursionError, KeyError):
        raise UsageError(
            f"`{rest}` can't be read", hint='as in a profile: arguments.to = {equals = "a@b.c"}, others = false'
        ) from None
    return {**row, "tool": name}
