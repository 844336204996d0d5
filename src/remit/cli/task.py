"""`remit task`: start, list and end tasks."""

import time
from typing import Annotated, Any

import typer

from remit.cli import task_run
from remit.cli.durations import seconds
from remit.cli.places import JsonOption, StateOption, places
from remit.cli.proved import say_if_weak

app = typer.Typer(
    help="Start, list and end tasks: declared jobs that let named actions happen, and end.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def start(
    on: Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its name or SPIFFE ID.")],
    allow: Annotated[str, typer.Option(metavar="ACTION[,ACTION]", help="What the task may do.")],
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 90s, 30m, 2h, 1d.")] = "30m",
    purpose: Annotated[str, typer.Option(help="What it is for, in your words.")] = "",
    human: Annotated[str, typer.Option(metavar="NAME", help="Whom it is for, if not you.")] = "",
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Start a task. Its token goes to stdout: give it to the caller as its API key."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    body = {"on": on, "actions": allow.split(","), "seconds": seconds(lasting), "purpose": purpose, "human": human}
    answer = ask(places(state).api_socket, "POST", "tasks", body=body)
    if json:
        print_json(answer)
        return
    task = answer["task"]
    until = time.strftime("%H:%M:%S", time.localtime(task["expires"]))
    typer.echo(f"task {task['id']} may {', '.join(task['actions'])} on {on} until {until}", err=True)
    say_if_weak(task["proof"])
    if answer["pending"]:
        typer.echo("  not every gateway has taken it yet", err=True)
    typer.echo("  its token is the API key to use, shown once; end it with: remit task end " + task["id"], err=True)
    typer.echo(answer["token"])


app.command()(task_run.run)


@app.command(name="list")
def list_(json: JsonOption = False, state: StateOption = None) -> None:
    """List the tasks that are running."""
    from remit.cli.client import ask
    from remit.cli.screen import age, print_json, table

    tasks = ask(places(state).api_socket, "GET", "tasks")
    if json:
        print_json(tasks)
        return
    if not tasks:
        typer.echo("no task is running", err=True)
        return
    parts = any(task["parent"] for task in tasks)
    heads = ("task", "for", "on", "may", "left", *(("cut from",) if parts else ()), "purpose")
    table(heads, [(*_told(t), age(t["left"]), *((t["parent"] or "",) if parts else ()), t["purpose"]) for t in tasks])


def _told(task: dict[str, Any]) -> tuple[str, ...]:
    return task["id"], task["human"], task["on_name"], ", ".join(task["actions"])


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
