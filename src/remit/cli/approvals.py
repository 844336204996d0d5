"""`remit approvals`: what waits for somebody's agreement, shown in full, approved or denied."""

from typing import Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption, places
from remit.cli.proved import say_if_weak

app = typer.Typer(
    help="Answer what takes somebody's agreement: list, show, approve and deny it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Id = Annotated[str, typer.Argument(metavar="ID", help="As `remit approvals list` has it.")]


@app.command(name="list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that were answered or are over, too.")] = False,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """List what waits for an answer."""
    from remit.cli.client import ask
    from remit.cli.screen import age, print_json, table

    found = ask(places(state).api_socket, "GET", "approvals")
    rows = [one for one in found if everything or one["state"] == "pending"]
    if json:
        print_json(rows)
        return
    if not rows:
        typer.echo("nothing waits for an answer", err=True)
        return
    heads = ("approval", "state", "what", "for", "task", "takes", "calls", "left")
    table(heads, [(*_told(one), str(one["calls"]), age(one["left"]) if one["left"] else "") for one in rows])


@app.command()
def show(approval: Id, json: JsonOption = False, state: StateOption = None) -> None:
    """Show one: exactly what is asked, where its arguments come from, and what follows from a yes."""
    from remit.cli.approvals_screen import shown
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "GET", "approvals", approval)
    if json:
        print_json(answer)
        return
    for line in shown(answer):
        typer.echo(line)


@app.command()
def approve(
    approval: Id,
    for_task: Annotated[bool, typer.Option("--for-task", help="As often as its task asks for exactly this.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="All the equal calls that wait now.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; needed where you confirm your own.")] = "",
    digest: Annotated[str, typer.Option(help="Only if it is still this, as `show --json` has it.")] = "",
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Say yes to exactly this, once: it is shown, and whatever else it is by then is refused."""
    from remit.cli.approvals_screen import shown
    from remit.cli.client import ask
    from remit.cli.screen import print_json
    from remit.errors import UsageError

    if for_task and waiting:
        raise UsageError("`--for-task` and `--waiting` don't go together", hint="say one of them, or none: once")
    socket = places(state).api_socket
    seen = ask(socket, "GET", "approvals", approval)
    if not json:
        for line in shown(seen):
            typer.echo(line, err=True)
    extent = "task" if for_task else "waiting" if waiting else "once"
    body = {"digest": digest or seen.get("digest", ""), "extent": extent, "why": reason}
    body["calls"] = max(1, seen["waiting"])
    answer = ask(socket, "POST", "approvals", approval, "approve", body=body)
    if json:
        print_json(answer)
        return
    typer.echo(f"{answer['state']} {approval}, {_EXTENTS[extent]}", err=True)
    say_if_weak(answer["proof"])


@app.command()
def deny(
    approval: Id,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record.")] = "",
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Say no, or take back a yes that was not used yet. The same is not asked again for a while."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "POST", "approvals", approval, "deny", body={"why": reason})
    if json:
        print_json(answer)
        return
    typer.echo(f"denied {approval}", err=True)


_EXTENTS = {"once": "once", "waiting": "for the calls that wait", "task": "for the rest of its task"}


def _told(one: dict[str, Any]) -> tuple[str, ...]:
    what = f"{one['action']} {one['thing']}"
    return one["id"], one["state"], what, ", ".join(one["for"]), one["task"] or "", one["needed"]
