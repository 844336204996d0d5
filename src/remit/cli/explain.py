"""`remit explain`: why a call was allowed or refused, from the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.log_source import LogSource
from remit.cli.places import JsonOption, StateOption, places

if TYPE_CHECKING:
    from remit.policy import PolicySet


def explain(
    decision: Annotated[str, typer.Argument(metavar="ID", help="The decision id a reply or refusal carried.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Explain one decision: who asked, how they were known, what decided it, what would allow it."""
    from remit.cli.screen import print_json
    from remit.policy import explain as explained
    from remit.policy import explain_json

    where = places(state)
    log = LogSource.of(where)
    if log.asked is not None:
        _told(log.asked, decision, json=json)
        return
    record = _start_record(log.directory, decision)
    names = _names(where.api_socket)
    policies = _policies(where.policies)
    if json:
        print_json(explain_json(record, names, policies))
    else:
        typer.echo(explained(record, names, policies))


def _told(api_socket: Path, decision: str, *, json: bool) -> None:
    """By the machine's Remit, which alone reads its log; of one's own decisions."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    said = ask(api_socket, "GET", "explain", decision)
    if json:
        print_json(said["record"])
    else:
        typer.echo(said["text"])


def _start_record(audit: Path, decision: str) -> dict[str, Any]:
    from remit.audit.read import find
    from remit.errors import NotFoundError

    for record in find(audit, decision):
        data = record.data
        if data.get("kind") == "start":
            return {**data, "index": record.index, "shard": record.shard, "covered_by": record.covered_by}
    raise NotFoundError(f"no decision `{decision}` is in `{audit}`", hint="`remit audit tail` lists the newest")


def _names(api_socket: Path) -> dict[str, str]:
    """Who the pseudonyms are; nobody when Remit doesn't run: then they stand as they are."""
    from remit.cli.client import ask
    from remit.errors import StateError

    try:
        names: dict[str, str] = ask(api_socket, "GET", "names")
    except StateError:
        return {}
    return names


def _policies(directory: Path) -> "PolicySet | None":
    """The policies as they are now, for their places; None when they can't be loaded."""
    from remit.errors import PolicyError
    from remit.policy import load, read_directory

    try:
        return load(read_directory(directory))
    except PolicyError:
        return None
