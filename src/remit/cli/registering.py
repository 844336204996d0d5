"""`remit workload add` and `set`: register a workload by its selectors, and declare what nobody can find out."""

import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from remit.cli.places import JsonOption, StateOption, places
from remit.cli.proved import say_if_weak
from remit.errors import UsageError

NEVER: Final = "never"

PurposeOption = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for, in your words.")]
VendorOption = Annotated[str | None, typer.Option(metavar="TEXT", help="Whose product it is.")]
DataSetOption = Annotated[
    list[str] | None, typer.Option("--data-set", metavar="TEXT", help="What data it has; several times for several.")
]
EnvironmentOption = Annotated[str | None, typer.Option(metavar="NAME", help="dev, test, staging or prod.")]
ZoneOption = Annotated[str | None, typer.Option(metavar="NAME", help="inference, retrieval or tools.")]
LabelOption = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL",
        help="The most sensitive data it is meant for: public, internal, confidential or restricted.",
    ),
]
DueOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="The last day for its owner to look at it again: 2027-01-31.")
]


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="agent, tool_server, retriever, pipeline, model_server.")],
    selector: Annotated[
        list[str] | None,
        typer.Option(metavar="SELECTOR", help="What its processes have, all of them: unix:uid:1000."),
    ] = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Who answers for it, if it isn't you.")] = None,
    purpose: PurposeOption = None,
    vendor: VendorOption = None,
    data_set: DataSetOption = None,
    environment: EnvironmentOption = None,
    zone: ZoneOption = None,
    label: LabelOption = None,
    review_due: DueOption = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Register a workload, such as an agent: every process with all its selectors is that workload from then on."""
    facts = _facts(purpose, vendor, data_set, environment, zone, label, review_due)
    body = {"name": name, "kind": kind, "selectors": selector or [], "owner": owner, "facts": facts}
    answer = _ask(state, "workloads", body=body, as_json=json)
    if answer is None:
        return
    now = answer["workload"]
    typer.echo(f"{now['spiffe_id']} is {now['state']}; its owner is {now['owner']}", err=True)
    _weak(answer)


def set_(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its name or SPIFFE ID.")],
    purpose: PurposeOption = None,
    vendor: VendorOption = None,
    data_set: DataSetOption = None,
    environment: EnvironmentOption = None,
    zone: ZoneOption = None,
    label: LabelOption = None,
    review_due: DueOption = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Change what is declared of a workload.

    What is left out stays; '' takes a text away, `--review-due never` the date.
    """
    facts = _facts(purpose, vendor, data_set, environment, zone, label, review_due)
    if not facts:
        raise UsageError("nothing to set", hint="for example `--purpose 'answers tickets'`")
    answer = _ask(state, "workload", "facts", query={"name": workload}, body=facts, as_json=json)
    if answer is None:
        return
    name, changed = answer["workload"]["name"], answer["changed"]
    for field, (was, now) in changed.items():
        typer.echo(f"{name}: {field.replace('_', ' ')} was {_shown(field, was)}, is {_shown(field, now)}", err=True)
    if not changed:
        typer.echo(f"{name}: nothing differs from what it was", err=True)
    _weak(answer)


def due(text: str) -> float | None:
    """The end of a day here, in Unix seconds; None for `never`."""
    if text == NEVER:
        return None
    try:
        after = date.fromisoformat(text) + timedelta(days=1)
        return datetime.combine(after, datetime.min.time()).astimezone().timestamp() - 1
    except (ValueError, OverflowError) as error:
        raise UsageError(f"`{text}` is not a date", hint="write 2027-01-31, or `never`") from error


def _facts(
    purpose: str | None,
    vendor: str | None,
    data_sets: list[str] | None,
    environment: str | None,
    zone: str | None,
    label: str | None,
    review_due: str | None,
) -> dict[str, Any]:
    """What was said on the command line; what was left out is not there."""
    facts = {
        "purpose": purpose,
        "vendor": vendor,
        "data_sets": data_sets or None,
        "environment": environment,
        "zone": zone,
        "label": label,
    }
    said: dict[str, Any] = {field: value for field, value in facts.items() if value is not None}
    return said if review_due is None else {**said, "review_due": due(review_due)}


def _ask(
    state: Path | None, *segments: str, body: Any, as_json: bool, query: dict[str, str] | None = None
) -> dict[str, Any] | None:
    """Control's answer; None when it was printed as JSON."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    answer: dict[str, Any] = ask(places(state).api_socket, "POST", *segments, body=body, query=query)
    if as_json:
        print_json(answer)
        return None
    return answer


def _weak(answer: dict[str, Any]) -> None:
    if answer["workload"]["overdue"]:
        typer.echo("  its review is overdue", err=True)
    say_if_weak(answer["proof"])
    if answer["pending"]:
        typer.echo("  pending: not every gateway has taken it yet", err=True)


def _shown(field: str, value: Any) -> str:
    if field == "review_due":
        return "never" if value is None else time.strftime("%Y-%m-%d", time.localtime(value))
    return (", ".join(value) if isinstance(value, list) else value) or "nothing"
