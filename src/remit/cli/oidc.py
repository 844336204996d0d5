"""`remit oidc`: what clouds and other relying parties need, which know no SPIFFE and can't reach this machine."""

import json as json_text
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption, places

app = typer.Typer(
    help="Let clouds, which know no SPIFFE, verify this trust domain's JWT-SVIDs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def oidc() -> None:
    """Let clouds, which know no SPIFFE, verify this trust domain's JWT-SVIDs."""


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What the issuer's address serves.")],
    issuer: Annotated[str, typer.Option(metavar="URL", help="The issuer, if not `oidc.issuer`'s.")] = "",
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Write OpenID Connect discovery and the public keys as static files. Run it again from a timer, often."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json
    from remit.config import check_issuer
    from remit.errors import UsageError
    from remit.identity.oidc import DISCOVERY_PATH, KEYS_PATH, discovery
    from remit.identity.published_files import publish as put

    if issuer:
        check_issuer(issuer, "`--issuer`")
    answer = ask(places(state).api_socket, "GET", "oidc")
    name = issuer or answer["issuer"]
    if not name:
        raise UsageError(
            "no issuer is configured, and none is named",
            hint='set `[oidc] issuer = "https://…"` to the address that is to serve the directory',
        )
    changed = put(directory, {KEYS_PATH: _text(answer["jwks"]), DISCOVERY_PATH: _text(discovery(name))})
    told = {key: answer[key] for key in ("next_keys", "good_until", "overlap_seconds")}
    if json:
        print_json({"issuer": name, "carried": answer["issuer"], "changed": [str(path) for path in changed], **told})
        return
    for path in changed:
        typer.echo(path)
    _tell(name, answer, changed=bool(changed))


def _tell(name: str, answer: dict[str, Any], *, changed: bool) -> None:
    if not changed:
        typer.echo("nothing has changed", err=True)
    typer.echo(f"the keys of {name} are good until {_when(answer['good_until'])}", err=True)
    hours = f"{answer['overlap_seconds'] / 3600:g} h"
    typer.echo(f"  new ones come on {_when(answer['next_keys'])}, or at `remit authority rotate`", err=True)
    typer.echo(f"  publish again within {hours} of either", err=True)
    if name != answer["issuer"]:
        carried = f"`{answer['issuer']}`" if answer["issuer"] else "no issuer"
        typer.echo(f"  JWT-SVIDs carry {carried}: until `oidc.issuer` says this one, nobody takes them", err=True)


def _text(document: dict[str, Any]) -> bytes:
    return (json_text.dumps(document, indent=2) + "\n").encode()


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
