"""`remit login` and `remit logout`: a person's session, from which they hand authority on."""

import time
from typing import Annotated, Any

import typer

from remit.cli.durations import seconds
from remit.cli.places import JsonOption, StateOption, places
from remit.cli.proved import say_if_weak


def login(
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 30m, 8h, at most 1d.")] = "8h",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the provider's page.")] = True,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Begin a session. Its token goes to stdout: exchange it for a task's (`docs/delegation.md`)."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json
    from remit.config import load

    where = places(state)
    body: dict[str, Any] = {"seconds": seconds(lasting)}
    nonce = ask(where.api_socket, "POST", "session", "nonce", body={})["nonce"]
    if nonce is not None:
        from remit.cli.login_flow import id_token

        settings = load(where.config).login
        body |= {"nonce": nonce, "id_token": id_token(settings, nonce, open_browser=browser, say=_say)}
    answer = ask(where.api_socket, "POST", "session", body=body)
    if json:
        print_json(answer)
        return
    session = answer["session"]
    until = time.strftime("%H:%M:%S", time.localtime(session["expires"]))
    typer.echo(f"session {session['id']} for {session['human']} until {until}", err=True)
    if session["login"]:
        typer.echo(f"  {session['login']} vouches for you", err=True)
    say_if_weak(session["proof"])
    typer.echo("  its token is shown once; end it, and all that you hand on, with: remit logout", err=True)
    typer.echo(answer["token"])


def logout(
    session: Annotated[str, typer.Argument(metavar="[SESSION]", help="One of yours; all of them without.")] = "",
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """End your sessions, and every task that was cut from them."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "DELETE", "session", body={"session": session})
    if json:
        print_json(answer)
        return
    for one in answer["ended"]:
        typer.echo(f"ended {one['id']}", err=True)
    if not answer["ended"]:
        typer.echo("no session of yours is open", err=True)
    if answer["pending"]:
        typer.echo("  pending: a gateway has not taken it yet", err=True)


def _say(text: str) -> None:
    typer.echo(text, err=True)
