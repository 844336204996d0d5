"""`remit explain`: why a call was allowed or refused, from the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from remit.errors import StateError

    where = places(state)
    log = LogSource.of(where)
    try:
        _told(where.api_socket, decision, json=json)
    except StateError:
        if log.asked is not None:
            raise
        _alone(log.directory, decision, state, json=json)


def _told(api_socket: Path, decision: str, *, json: bool) -> None:
    """By the running Remit, which has the policies in force, and knows who is who; of others' only whom it admits."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    said = ask(api_socket, "GET", "explain", decision)
    if json:
        print_json(said["record"])
    else:
        typer.echo(said["text"])


def _alone(audit: Path, decision: str, state: Path | None, *, json: bool) -> None:
    """From the log and the policy files, when Remit doesn't run: nobody's name, and nothing asked again."""
    from remit.cli.screen import print_json
    from remit.control.explaining import on_record
    from remit.policy import explain as explained
    from remit.policy import explain_json
    from remit.policy.looked_into import LookedInto, bundle_of

    found = on_record(audit, decision)
    policies = _policies(state)
    same = policies is not None and policies.digest == found.row.get("policy_set")
    looked = LookedInto(same, bundle=bundle_of(found.acts))
    if json:
        print_json(explain_json(found.row, {}, policies, looked))
    else:
        typer.echo(explained(found.row, {}, policies, looked))


def _policies(state: Path | None) -> "PolicySet | None":
    """Those of this instance as they are now, for their places; None when they can't be loaded."""
    from remit.cli.policy_in_force import policies_at
    from remit.errors import ConfigError, PolicyError, UsageError
    from remit.policy import load

    try:
        return load(policies_at(None, state).files)
    except (ConfigError, PolicyError, UsageError):
        return None
