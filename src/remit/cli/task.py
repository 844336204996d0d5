"""`remit task`: start, list and end tasks."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from remit.cli import task_run, task_say, task_show
from remit.cli.durations import seconds
from remit.cli.places import JsonOption, StateOption, places
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
from remit.cli.task_words import amounts, listed, until

Column = tuple[str, Callable[[dict[str, Any]], str]]

app = typer.Typer(
    help="Start, show and end tasks: declared jobs that let named actions happen, and end.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def start(
    on: Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its name or SPIFFE ID.")],
    allow: AllowOption = "",
    lasting: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long: 90s, 30m, 2h, 1d; 30m unless it is said.")
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
    human: Annotated[str, typer.Option(metavar="NAME", help="Whom it is for, if not you.")] = "",
    agent: Annotated[
        str, typer.Option(metavar="NAME", help="The one workload that may use it, if not any of theirs.")
    ] = "",
    pid: Annotated[
        int | None, typer.Option(min=1, metavar="PID", help="A process of theirs, with which it ends.")
    ] = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Start a task. Its token goes to stdout: give it to the caller as its API key.

    A task of a profile may be less than that and never more. TOOL is a name, or a name and how it may be called, as a
    profile says it: 'mail/send arguments.to = {equals = "ada@example.com"}'.
    """
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    said = {"purpose": purpose, "human": human, "agent": agent, "pid": pid or 0}
    body = {
        "on": on,
        "actions": actions(allow),
        "seconds": seconds(lasting) if lasting else None,
        **said,
        **lists(profile, tool, ceiling, to, limits(calls, tokens, size, spent), present),
    }
    answer = ask(places(state).api_socket, "POST", "tasks", body=body)
    if json:
        print_json(answer)
        return
    task = answer["task"]
    typer.echo(f"task {task['id']} may {', '.join(task['actions'])} on {on} until {until(task)}", err=True)
    for head, text in listed(task):
        typer.echo(f"  {head}: {text}", err=True)
    if task["present"] and answer["presence"] != "here":
        typer.echo(
            "  nobody is known to be there: until they are, its calls are refused (docs/presence.md)", err=True
        )
    say_if_weak(task["proof"])
    if answer["pending"]:
        typer.echo("  not every gateway has taken it yet", err=True)
    typer.echo("  its token is the API key to use, shown once; end it with: remit task end " + task["id"], err=True)
    typer.echo(answer["token"])


app.command()(task_run.run)
app.command()(task_show.show)
app.command()(task_show.extend)
app.command()(task_say.say)


@app.command(name="list")
def list_(json: JsonOption = False, state: StateOption = None) -> None:
    """List the tasks that are running."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json, table

    tasks = ask(places(state).api_socket, "GET", "tasks")
    if json:
        print_json(tasks)
        return
    if not tasks:
        typer.echo("no task is running", err=True)
        return
    columns = [*_COLUMNS, *(column for column in _SOMETIMES if any(column[1](task) for task in tasks))]
    heads = [head for head, _ in columns]
    table((*heads, "purpose"), [(*(told(task) for _, told in columns), task["purpose"]) for task in tasks])


def _age(seconds: float) -> str:
    from remit.cli.screen import age

    return age(seconds)


_COLUMNS: Final[tuple[Column, ...]] = (
    ("task", lambda task: task["id"]),
    ("for", lambda task: task["human"]),
    ("on", lambda task: task["on_name"]),
    ("may", lambda task: ", ".join(task["actions"])),
    ("left", lambda task: _age(task["left"])),
)
_SOMETIMES: Final[tuple[Column, ...]] = (
    ("profile", lambda task: task["profile"]),
    ("to spend", lambda task: amounts(task["left_of_budget"])),
    ("cut from", lambda task: task["parent"] or ""),
)


@app.command()
def end(
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="Its id, as `remit task list` has it.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """End a task now: its token is dead and its open streams are cut."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "DELETE", "tasks", task_id, body={})
    if json:
        print_json(answer)
        return
    typer.echo(
        f"ended {task_id}" + (" (pending: a gateway has not taken it yet)" if answer["pending"] else ""), err=True
    )
    if answer["unrecorded"]:
        typer.echo(f"  NOT ON RECORD: {answer['unrecorded']}", err=True)
        typer.echo(
            "  it is ended all the same; see what keeps the disk from taking it, then start Remit again", err=True
        )
