"""`remit task show` and `remit task extend`: one task."""

from typing import Annotated, Any

import typer

from remit.cli.durations import seconds
from remit.cli.places import JsonOption, StateOption, places
from remit.cli.proved import say_if_weak
from remit.cli.task_options import BytesOption, CallsOption, SecondsOption, TokensOption, limits
from remit.cli.task_words import amounts, listed, marks, until

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="Its id, as `remit task list` has it.")]


def show(task_id: TaskArgument, json: JsonOption = False, state: StateOption = None) -> None:
    """Show all that is known of a task, also for a day after it has ended."""
    from remit.cli.client import ask
    from remit.cli.screen import print_facts, print_json

    task = ask(places(state).api_socket, "GET", "tasks", task_id)
    print_json(task) if json else print_facts(task["id"], task["purpose"], _facts(task))


def extend(
    task_id: TaskArgument,
    lasting: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long it lasts from now: 90s, 30m, 2h, 1d.")
    ] = "",
    calls: CallsOption = None,
    tokens: TokensOption = None,
    size: BytesOption = None,
    spent: SecondsOption = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Let a task last longer, or spend more in all; never more than its profile, nor 7 days."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    body = {"seconds": seconds(lasting) if lasting else None, "budget": limits(calls, tokens, size, spent)}
    answer = ask(places(state).api_socket, "POST", "tasks", task_id, "extend", body=body)
    if json:
        print_json(answer)
        return
    task = answer["task"]
    may_spend = f", and may spend {amounts(task['budget'])} in all" if task["budget"] else ""
    typer.echo(f"{task_id} lasts until {until(task)}{may_spend}", err=True)
    say_if_weak(answer["proof"])
    if answer["pending"]:
        typer.echo("  not every gateway has taken it yet", err=True)


def _facts(task: dict[str, Any]) -> list[tuple[str, str]]:
    from remit.cli.screen import age

    left = f"{age(task['left'])} left, until {until(task)}" if task["running"] else "ended"
    budget = task["left_of_budget"]
    return [
        ("may", f"{', '.join(task['actions'])} on {task['on_name']}"),
        ("for", f"{task['human']}, started by {task['proof']}"),
        ("used by", ", ".join(task["hands"]) or "whoever acts for them and has its token"),
        ("cut from", task["parent"] or ""),
        ("ends with", f"process {task['launched'][0]}" if task["launched"] else ""),
        ("time", left),
        *listed(task),
        ("left", amounts(budget) if task["running"] else ""),
        ("came in", marks(task)),
        ("parts", ", ".join(task["parts"])),
    ]
