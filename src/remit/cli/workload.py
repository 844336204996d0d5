"""`remit workload`: list and show workloads, register them, and move them on in their lives."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from remit.cli import registering
from remit.cli.places import JsonOption, StateOption, places
from remit.cli.proved import say_if_weak

app = typer.Typer(
    help="List workloads, register them, and move them on in their lives.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its name or SPIFFE ID.")]


@app.command(name="list")
def list_(json: JsonOption = False, state: StateOption = None) -> None:
    """List every workload that is known, also those whose server is away."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json, table

    known = ask(places(state).api_socket, "GET", "workloads")
    if json:
        print_json(known)
        return
    if not known:
        typer.echo("no workload is known", err=True)
        return
    heads = ("workload", "kind", "owner", "state", "since", "server", "review due")
    table(
        heads,
        [(w["name"], w["kind"], w["owner"] or "nobody", w["state"], _day(w), _server(w), _due(w)) for w in known],
    )


@app.command()
def show(workload: NameArgument, json: JsonOption = False, state: StateOption = None) -> None:
    """Show all that is kept about one workload, and what can be done with it now."""
    from remit.cli.client import ask
    from remit.cli.screen import print_facts, print_json

    known = ask(places(state).api_socket, "GET", "workload", query={"name": workload})
    if json:
        print_json(known)
    else:
        print_facts(known["name"], known["spiffe_id"], _facts(known))


app.command()(registering.add)
app.command(name="set")(registering.set_)


@app.command()
def own(workload: NameArgument, json: JsonOption = False, state: StateOption = None) -> None:
    """Answer for a discovered workload: you are its owner from then on."""
    _move("own", workload, state, as_json=json)


@app.command()
def activate(workload: NameArgument, json: JsonOption = False, state: StateOption = None) -> None:
    """Put an owned workload in force: it can be called and gets SVIDs."""
    _move("activate", workload, state, as_json=json)


@app.command()
def suspend(workload: NameArgument, json: JsonOption = False, state: StateOption = None) -> None:
    """Stop a workload until it is resumed.

    Its open calls are cut, its tasks end, and it gets no SVIDs.
    """
    _move("suspend", workload, state, as_json=json)


@app.command()
def resume(workload: NameArgument, json: JsonOption = False, state: StateOption = None) -> None:
    """Make a suspended workload active again; the tasks that ended stay ended."""
    _move("resume", workload, state, as_json=json)


@app.command()
def transfer(
    workload: NameArgument,
    to: Annotated[str, typer.Option(metavar="NAME", help="Who answers for it from now on.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Give a workload to another owner, who is known here; the tasks of the former one end."""
    _move("transfer", workload, state, as_json=json, to=to)


@app.command()
def retire(workload: NameArgument, json: JsonOption = False, state: StateOption = None) -> None:
    """End a workload's life: all that suspending does, and for good."""
    _move("retire", workload, state, as_json=json)


def _move(verb: str, name: str, state: Path | None, *, as_json: bool, to: str = "") -> None:
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "POST", "workload", verb, query={"name": name, "to": to})
    if as_json:
        print_json(answer)
        return
    now = answer["workload"]
    typer.echo(f"{now['name']} is {now['state']} now; its owner is {now['owner'] or 'nobody'}", err=True)
    say_if_weak(answer["proof"])
    if answer["pending"]:
        typer.echo("  pending: not every gateway has taken it yet", err=True)
    if not now["possible"]:
        typer.echo("  this is final", err=True)


def _facts(known: dict[str, Any]) -> list[tuple[str, str]]:
    """What people want to know of it, line by line; what is not known is left out."""
    from remit.cli.screen import short, verbs

    process = f"pid {known['pid'] or 'unknown'}, uid {known['uid']}, {known['exe'] or 'executable unknown'}"
    server = f"{known['server']} at {known['upstream'].removeprefix('http://')}, {_server(known)}"
    return [
        ("state", f"{known['state']} since {_day(known)}"),
        ("owner", known["owner"] or "nobody"),
        ("possible", ", ".join(known["possible"]) or "nothing more: this is final"),
        ("purpose", known["purpose"]),
        ("kind", f"{known['kind']} that {verbs(known['capabilities'])}" if known["capabilities"] else known["kind"]),
        ("server", server if known["server"] else ""),
        ("vendor", known["vendor"]),
        ("zone", f"{known['zone']}, environment {known['environment']}"),
        ("data", f"up to {known['label']}"),
        ("data sets", ", ".join(known["data_sets"])),
        ("process", process if known["server"] else "every one that has the selectors"),
        ("known by", ", ".join(known["selectors"])),
        *[("model", f"{model['name']}   {short(model['digest'])}") for model in known["models"]],
        ("review due", _due(known)),
        ("tasks", ", ".join(known["tasks"])),
        ("found", known["found"]),
    ]


def _server(known: dict[str, Any]) -> str:
    if not known["server"]:
        return "none"
    return "here" if known["here"] else "away"


def _due(known: dict[str, Any]) -> str:
    due = known["review_due"]
    if due is None:
        return ""
    return time.strftime("%Y-%m-%d", time.localtime(due)) + (" OVERDUE" if known["overdue"] else "")


def _day(known: dict[str, Any]) -> str:
    since = known["state_since"] or known["enrolled_at"]
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(since)) if since else "unknown"
