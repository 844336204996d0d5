"""`remit model`: what each model is by its digests, and the owner's approval of one that changed."""

from typing import Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption, places
from remit.cli.proved import say_if_weak

app = typer.Typer(
    help="List models by their digests, and approve one that is not what its server was bound to.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(name="list")
def list_(json: JsonOption = False, state: StateOption = None) -> None:
    """List the models of all guarded servers, and how each stands to what its server is bound to."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json, short, table

    models = ask(places(state).api_socket, "GET", "models")
    if json:
        print_json(models)
        return
    if not models:
        typer.echo("no model is known", err=True)
        return
    rows = [(m["model"], m["on"], _digest(m, short), short(m["identity"]), _standing(m)) for m in models]
    table(("model", "on", "weights", "identity", "standing"), rows)


@app.command()
def approve(
    model: Annotated[str, typer.Argument(metavar="NAME", help="The model's name, as its server uses it.")],
    on: Annotated[str, typer.Option(metavar="WORKLOAD", help="Whose model, where two have one so named.")] = "",
    digest: Annotated[str, typer.Option(help="Only if it is this one: the digest of its weights or identity.")] = "",
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Approve a model as it is now: its server has its identity again from the next request on."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    body = {"model": model, "on": on, "digest": digest}
    answer = ask(places(state).api_socket, "POST", "models", "approve", body=body)
    if json:
        print_json(answer)
        return
    typer.echo(f"approved `{answer['model']}` on {answer['on']}: {answer['digest']}", err=True)
    say_if_weak(answer["proof"])
    if answer["pending"]:
        typer.echo("  not every gateway has taken it yet", err=True)


def _digest(model: dict[str, Any], short: Any) -> str:
    return str(short(model["digest"])) + (" (at load)" if model["digest_at_load"] else "")


def _standing(model: dict[str, Any]) -> str:
    return f"{model['standing']} ({', '.join(model['differing'])})" if model["differing"] else str(model["standing"])
