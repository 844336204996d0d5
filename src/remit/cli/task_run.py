"""`remit task run`: start a task and become the command that it is for."""

import os
import shutil
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from remit.cli.durations import seconds
from remit.cli.places import StateOption, places
from remit.cli.proved import say_if_weak
from remit.cli.task_options import (
    AllowOption,
    BytesOption,
    CallsOption,
    CeilingOption,
    PresentOption,
    ProfileOption,
    PurposeOption,
    SecondsOption,
    TokensOption,
    ToolOption,
    ToOption,
    actions,
    limits,
    lists,
)
from remit.cli.task_words import listed, until
from remit.errors import UsageError


def run(
    on: Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its name or SPIFFE ID.")],
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="The command, behind `--`.")],
    allow: AllowOption = "",
    lasting: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long at most: 90s, 30m, 2h, 1d; 30m unless it is said.")
    ] = "",
    purpose: PurposeOption = "",
    profile: ProfileOption = "",
    tool: ToolOption = None,
    ceiling: CeilingOption = "",
    to: ToOption = None,
    calls: CallsOption = None,
    tokens: TokensOption = None,
    size: BytesOption = None,
    spent: SecondsOption = None,
    present: PresentOption = False,
    state: StateOption = None,
) -> None:
    """Start a task for a command, and run it: the task ends with it.

    The command gets the task's token as REMIT_TASK_TOKEN, and where AI clients look for an API key and an address.
    """
    from remit.cli.client import ask

    program = shutil.which(command[0])
    if program is None:
        raise UsageError(f"`{command[0]}` is no program here", hint="name it behind `--`: `-- python agent.py`")
    said = {"actions": actions(allow), "seconds": seconds(lasting) if lasting else None, "purpose": purpose}
    more = lists(profile, tool, ceiling, to, limits(calls, tokens, size, spent), present)
    body = {"on": on, "launched": True, **said, **more}
    answer = ask(places(state).api_socket, "POST", "tasks", body=body)
    _tell(answer, on)
    try:
        os.execve(program, command, environment(os.environ, answer["token"], answer["door"]))  # noqa: S606 - it was asked for
    except OSError as error:
        raise UsageError(f"`{program}` can't be run: {error.strerror}", hint="its task has ended") from error


def environment(own: Mapping[str, str], token: str, door: Mapping[str, str]) -> dict[str, str]:
    """What the command finds. Keys and addresses of its own are replaced where the workload has a door: both or
    neither, so that no real key is handed to it and the token is sent nowhere else.
    """
    env = {**own, "REMIT_TASK_TOKEN": token}
    if not door:
        return env
    env.pop("ANTHROPIC_AUTH_TOKEN", None)  # it would be sent in the key's place
    keys = {"OPENAI_API_KEY": token, "ANTHROPIC_API_KEY": token}
    return {**env, **keys, "OPENAI_BASE_URL": door["base_url"], "ANTHROPIC_BASE_URL": door["url"]}


def _tell(answer: dict[str, Any], on: str) -> None:
    task = answer["task"]
    may = f"may {', '.join(task['actions'])} on {on}"
    typer.echo(f"task {task['id']} {may}, until this command ends or {until(task)}", err=True)
    for head, text in listed(task):
        typer.echo(f"  {head}: {text}", err=True)
    say_if_weak(task["proof"])
    if answer["pending"]:
        typer.echo("  not every gateway has taken it yet", err=True)
