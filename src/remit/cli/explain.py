"""`remit explain`: why a call was allowed or refused, from the log."""

from typing import Annotated

import typer

from remit.cli.places import JsonOption, StateOption, places


def explain(
    decision: Annotated[str, typer.Argument(metavar="ID", help="The decision id a reply or refusal carried.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Explain one decision: who asked, how they were known, what decided it, what would allow it."""
    from remit.audit import find
    from remit.cli.client import ask
    from remit.cli.screen import print_json
    from remit.errors import StateError, UsageError
    from remit.policy.explain import explain as explained

    where = places(state)
    record = find(where.audit, decision)
    if record is None:
        raise UsageError(
            f"no decision `{decision}` is in `{where.audit}`", hint="`remit audit tail` lists the newest"
        )
    try:
        names = ask(where.api_socket, "GET", "names")
    except StateError:
        names = {}  # not running: the log's pseudonyms stand as they are
    if json:
        print_json(record)
    else:
        typer.echo(explained(record, names))
