"""`remit passkey`: the keys that prove it is you, added in the local page."""

import time
from typing import Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption, places

LINK_SECONDS = 300.0  # as long as a link serves (`control/passkey_links.py`)

app = typer.Typer(
    help="Passkeys: add, list and remove the keys that prove it is you.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def add(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What you call it: `phone`, `yubikey`.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Add a passkey: it shows a link to a page of this machine, and waits until you have been there."""
    from remit.cli.client import ask
    from remit.cli.proving import wait
    from remit.cli.screen import print_json

    path = places(state).api_socket
    answer = ask(path, "POST", "passkeys", body={"label": label})
    typer.echo(f"add it here, within 5 minutes, in a browser of this machine:\n  {answer['page']}", err=True)
    wait(lambda: answer["link"] not in ask(path, "GET", "passkeys")["links"], LINK_SECONDS)
    added = _labelled(ask(path, "GET", "passkeys")["passkeys"], label)
    if json:
        print_json({"added": added, "proof": answer["proof"]})
    else:
        typer.echo(f"added {label}; it can prove from now on that you act", err=True)


@app.command(name="list")
def list_(json: JsonOption = False, state: StateOption = None) -> None:
    """List your passkeys."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json, table

    known = ask(places(state).api_socket, "GET", "passkeys")["passkeys"]
    if json:
        print_json(known)
        return
    if not known:
        typer.echo("you have no passkey; `remit passkey add LABEL` adds one", err=True)
        return
    rows = [(one["label"], _day(one["created"]), _day(one["last_used"]), one["id"]) for one in known]
    table(("label", "added", "last used", "id"), rows)


@app.command()
def remove(
    passkey: Annotated[str, typer.Argument(metavar="LABEL", help="Its label or id.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Remove a passkey: it proves nothing any more."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "DELETE", "passkeys", body={"passkey": passkey})
    if json:
        print_json(answer)
    else:
        typer.echo(f"removed {answer['removed']['label']}", err=True)


def _labelled(known: list[dict[str, Any]], label: str) -> dict[str, Any]:
    from remit.cli.proving import NotProvedError

    for one in known:
        if one["label"] == label:
            return one
    raise NotProvedError(
        "no passkey was added: the page said why", hint=f"`remit passkey add {label}` makes a new link"
    )


def _day(at: float | None) -> str:
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
