"""`remit authority`: the keys that sign this trust domain's identities."""

import time

import typer

from remit.cli.places import JsonOption, StateOption, places

app = typer.Typer(
    help="The keys that sign this trust domain's identities.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def authority() -> None:
    """The keys that sign this trust domain's identities."""


@app.command()
def rotate(json: JsonOption = False, state: StateOption = None) -> None:
    """Publish new keys now. They sign two hours later, when every verifier knows them; the old ones go after that."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer = ask(places(state).api_socket, "POST", "authority", "rotate", body={})
    if json:
        print_json(answer)
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(answer["signs_from"]))
    under_way = "a rotation is under way already, with keys in the bundle"
    news = "new keys are in the bundle" if answer["begun"] else under_way
    typer.echo(f"{news}: they sign from {when} on", err=True)
