"""`remit task say`: a person's own words for their task."""

import sys
from typing import Annotated

import typer

from remit.cli.places import JsonOption, StateOption, places
from remit.cli.task_show import TaskArgument


def say(
    task_id: TaskArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Your words; `-` takes them from stdin.")] = "-",
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Say something to a task of yours: what you name in it is named by you, when policies ask who chose it.

    It takes a proof of you, better than your uid. Your words are kept until the task ends, in memory alone.
    """
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    said = sys.stdin.read() if text == "-" else text
    answer = ask(places(state).api_socket, "POST", "tasks", task_id, "say", body={"text": said})
    if json:
        print_json(answer)
        return
    typer.echo(f"{task_id} has your words: {answer['characters']} characters", err=True)
    if not answer["heard"]:
        typer.echo("  nobody hears them: no zone of decisions runs (docs/authzen.md)", err=True)
