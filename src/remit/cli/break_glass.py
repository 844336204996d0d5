"""`remit break-glass`: when policies lock out who must get in; short, loud, and reviewed."""

import os
import pwd
import sys
import time
from typing import Annotated, Any

import typer
from rich.markup import escape

from remit.cli.durations import seconds
from remit.cli.places import JsonOption, StateOption, places
from remit.config import SYSTEM_ACCOUNT, Places
from remit.errors import NotFoundError, StateError, UsageError

MAX_CODE: int = 256

app = typer.Typer(help="When policies lock out who must get in: short, loud, and reviewed.", no_args_is_help=True)


@app.command(name="open")
def open_(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What is broken; every caller reads it.")],
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="30 minutes at most.")] = "30m",
    code_stdin: Annotated[bool, typer.Option("--code-stdin", help="Read the recovery code from a pipe.")] = False,
    person: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose calls, where root opens it because control does not run."),
    ] = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Let your own calls through whatever the policies say, for a while, by the recovery code or another proof.

    Where control does not answer, an instance for this alone is started, and this terminal holds it open.
    """
    from remit.cli.emergency import answers, hangs, hold_open

    at = places(state)
    body = {"reason": reason, "seconds": seconds(for_), "code": _code(code_stdin)}
    if answers(at.api_socket):
        try:
            return _ask_control(at, body, json=json)
        except StateError as error:
            if answers(at.api_socket):
                raise StateError(str(error), hint=error.hint or hangs(at).hint) from error
    status = hold_open(at, state, body, person, json=json)
    if status is not None:
        raise typer.Exit(status)
    return _ask_control(at, body, json=json)


def _ask_control(at: Places, body: dict[str, Any], *, json: bool) -> None:
    from remit.cli.client import ask
    from remit.cli.screen import ERR, print_json

    answer = ask(at.api_socket, "POST", "break-glass", body=body)
    if json:
        print_json(answer)
        return
    opening = answer["opening"]
    ERR.print(f"[red]break-glass is open[/] for {escape(opening['person'])} until {_moment(opening['until'])}")
    ERR.print(f"  {opening['id']}; review it within 24 hours; `remit break-glass close` ends it sooner")
    ERR.print(f"  {escape(answer['note'])}")


@app.command()
def close(json: JsonOption = False, state: StateOption = None) -> None:
    """Close it before its time."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "POST", "break-glass", "close")
    if json:
        print_json(answer)
    else:
        typer.echo(f"closed {answer['closed']}")


@app.command(name="list")
def list_(json: JsonOption = False, state: StateOption = None) -> None:
    """Each opening, and whether it was reviewed."""
    from remit.cli.screen import ERR, print_json, table

    answer = _listed(places(state))
    if json:
        print_json(answer)
        return
    for flaw in answer["flaws"]:
        ERR.print(f"[red]not whole:[/] {escape(flaw)}")
    if not answer["openings"]:
        typer.echo("break-glass was never opened")
        return
    rows = [
        (one["id"], one["person"], _moment(one["opened"]), one["standing"], one["reason"])
        for one in answer["openings"]
    ]
    table(("opening", "by", "at", "standing", "reason"), rows)


@app.command()
def show(
    opening: Annotated[str, typer.Argument(metavar="ID")], json: JsonOption = False, state: StateOption = None
) -> None:
    """One opening."""
    from remit.cli.screen import fact_line, print_json

    rows = _listed(places(state))["openings"]
    found = next((one for one in rows if one["id"] == opening), None)
    if found is None:
        raise NotFoundError(f"no opening is called `{opening}`", hint="`remit break-glass list` shows them")
    if json:
        print_json(found)
        return
    for head, text in _facts(found):
        fact_line(head, text)


@app.command()
def review(
    opening: Annotated[str, typer.Argument(metavar="ID")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="What you saw.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Say that you looked at an opening: another person than who opened it, where there is one."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "POST", "break-glass", "review", body={"opening": opening, "note": note})
    if json:
        print_json(answer)
    else:
        typer.echo(f"{answer['id']} is {answer['standing']}")


@app.command()
def seal(json: JsonOption = False, state: StateOption = None) -> None:
    """Make a new recovery code; the one before it opens nothing any more."""
    from remit.cli.client import ask
    from remit.cli.emergency import answers
    from remit.cli.screen import print_json

    at = places(state)
    if at.shared and os.geteuid() == 0 and not answers(at.api_socket):
        answer = {"code": _seal_as_root(at)}
    else:
        answer = ask(at.api_socket, "POST", "break-glass", "seal")
    if json:
        print_json(answer)
        return
    typer.echo("the new recovery code, shown once: write it down, away from this machine", err=True)
    typer.echo(answer["code"])


def _seal_as_root(at: Places) -> str:
    """While no control answers: root can take what is kept there anyway."""
    from remit.persons.sealing import seal_at_install

    code = seal_at_install(at.state, pwd.getpwnam(SYSTEM_ACCOUNT), time.time(), anew=True)
    if code is None:
        raise StateError("no recovery code was sealed")
    return code.reveal()


def _listed(at: Places) -> dict[str, Any]:
    """As control says, or as the files show where none answers."""
    from remit.cli.client import ask
    from remit.cli.emergency import answers
    from remit.cli.kept_openings import kept_list

    if not answers(at.api_socket):
        return kept_list(at)
    listed: dict[str, Any] = ask(at.api_socket, "GET", "break-glass")
    return listed


def _code(from_pipe: bool) -> str:
    """The code as typed, where nobody else can read it; never an argument: those are everybody's to read."""
    if from_pipe:
        return sys.stdin.readline(MAX_CODE).strip()
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to type the recovery code on", hint="pipe it in with --code-stdin")
    import getpass

    return getpass.getpass("recovery code (empty: prove it is you some other way): ").strip()


def _facts(one: dict[str, Any]) -> list[tuple[str, str]]:
    review = one["review"]
    return [
        ("opening", one["id"]),
        ("by", f"{one['person']} (uid {one['uid']}), proved by {one['proof']}, through {one['through']}"),
        ("reason", one["reason"]),
        ("opened", f"{_moment(one['opened'])}, until {_moment(one['until'])}"),
        ("closed", f"{_moment(one['closed'])}, {one['why']}" if one["closed"] is not None else ""),
        ("standing", one["standing"]),
        ("review", f"by {review['by']} at {_moment(review['at'])}: {review['note']}" if review is not None else ""),
    ]


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
