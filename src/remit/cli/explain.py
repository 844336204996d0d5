"""`remit explain`: why a call was allowed or refused, from the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.log_source import LogSource
from remit.cli.places import JsonOption, StateOption, places

if TYPE_CHECKING:
    from remit.policy import PolicySet
    from remit.policy.looked_into import LookedInto


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
    from dataclasses import replace

    from remit.control.explaining import on_record
    from remit.policy.looked_into import bundle_of

    found = on_record(log.directory, decision)
    names, policies, looked = _looked(found.row, state)
    looked = looked and replace(looked, bundle=bundle_of(found.acts))
    if json:
        print_json(explain_json(found.row, names, policies, looked))
    else:
        typer.echo(explained(found.row, names, policies, looked))


def _told(api_socket: Path, decision: str, *, json: bool) -> None:
    """By the machine's Remit, which alone reads its log; of one's own decisions."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    said = ask(api_socket, "GET", "explain", decision)
    if json:
        print_json(said["record"])
    else:
        typer.echo(said["text"])


def _looked(
    record: dict[str, Any], state: Path | None
) -> "tuple[dict[str, str], PolicySet | None, LookedInto | None]":
    """People by their pseudonyms, the policies as they are now, and what comes of asking them again.

    Nobody, none and nothing, as far as Remit doesn't run, or they can't be loaded.
    """
    from remit.cli.policy_in_force import policies_at
    from remit.cli.policy_known import known_of
    from remit.errors import PolicyError, StateError, UsageError
    from remit.policy import load
    from remit.policy.in_force import InForce
    from remit.policy.looked_into import LookedInto, look_into

    try:
        files = policies_at(None, state).files
        policies = load(files)
    except (PolicyError, UsageError):
        files, policies = (), None
    try:
        known, names = known_of(None, state)
    except StateError:
        return {}, policies, None
    if policies is None:
        return names, None, LookedInto(same_set=False)
    return names, policies, look_into(record, InForce(known.snapshot(files)), names)
