"""`remit can`: whether somebody may do something, without doing it."""

import tomllib
from typing import Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption, places


def can(
    who: Annotated[str, typer.Argument(metavar="WHO", help="A person, or a workload by name or SPIFFE ID.")],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="infer, disclose, call_tool, …")],
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A workload, or what the catalogue lists.")],
    task: Annotated[str, typer.Option("--task", metavar="TASK", help="Within this running task.")] = "",
    given: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY=VALUE", help="Suppose this of the circumstances; may be given again."),
    ] = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Say whether policies allow it, and which; exits 3 when they don't. Nothing is done, and nothing recorded."""
    import json as jsonlib

    from remit.cli.client import ask
    from remit.cli.screen import print_json

    supposed = jsonlib.dumps(dict(map(_pair, given or ())), default=str)
    query = {"who": who, "action": action, "what": what, "task": task, "given": supposed}
    answer = ask(places(state).api_socket, "GET", "can", query=query)
    print_json(answer) if json else _print(answer, who, what)
    if answer["outcome"] != "allowed":
        raise typer.Exit(3)


def _pair(said: str) -> tuple[str, Any]:
    """`key=value`, the value as in TOML, or a word: `presence=here`, `flow={high = "internal"}`."""
    from remit.errors import UsageError

    key, equals, value = said.partition("=")
    if not equals or not key:
        raise UsageError(f"`{said}` supposes nothing", hint="`--with presence=here`")
    try:
        return key, tomllib.loads(f"x = {value}")["x"]
    except (ValueError, RecursionError):  # no TOML: a word
        return key, value


def _print(answer: dict[str, Any], who: str, what: str) -> None:
    from remit.cli.screen import harmless
    from remit.policy.explain import in_words

    typer.echo(harmless(f"{answer['outcome']:<8}  {answer['action']} on {what} by {who}"))
    for policy, reason in zip(answer["policies"], answer["reasons"], strict=True):
        place = f"{policy['id']} ({policy['file']}:{policy['line']})"
        typer.echo(harmless(f"  decided by   {place}{': ' if reason else ''}{reason}"))
    if not answer["policies"]:
        typer.echo(f"  decided by   {in_words(answer['rule'])}")
    for policy in answer["observed"]:
        typer.echo(
            harmless(f"  NOT ENFORCED {policy['id']} ({policy['file']}:{policy['line']}) would have refused it")
        )
    if answer["not_enforcing"]:
        typer.echo(f"  {answer['not_enforcing']}")
    if answer["would"]:
        typer.echo(harmless(f"  would be allowed if  {answer['would']}"))
