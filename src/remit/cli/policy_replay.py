"""`remit policy replay` and `learn`: what the log says of other policies, and which the log would have needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.places import JsonOption, StateOption
from remit.cli.policy_known import KnownOption, LogOption, SinceOption, known_of, recorded

if TYPE_CHECKING:
    from remit.policy.replay import Replayed


def replay(
    policies: Annotated[Path, typer.Option("--policies", metavar="DIR", help="The candidate.")],
    since: SinceOption = "7d",
    known: KnownOption = None,
    directory: LogOption = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Make recorded decisions again under other policies, and tell which would have come out otherwise.

    The log keeps what a decision reads, never contents. Where the outcome hangs on a value that was not kept, it is
    told as unknown. Workloads and the catalogue are taken as they are today.
    """
    from remit.cli.policy_in_force import files_in
    from remit.cli.screen import print_json
    from remit.policy.in_force import InForce
    from remit.policy.replay import Replay

    there, names = known_of(known, state)
    told = Replay(InForce(there.snapshot(files_in(policies))), names).all(recorded(state, directory, since))
    if not json:
        _tell(told)
        return
    changed = [
        {"was": one.was, "now": one.now, "by": one.by, "action": one.action, "count": one.count, "first": one.first}
        for one in told.changed.values()
    ]
    counts = {"decisions": told.decisions, "same": told.same, "built_in": told.built_in}
    print_json({**counts, "unknown": dict(told.unknown), "changed": changed})


def _tell(told: "Replayed") -> None:
    for one in sorted(told.changed.values(), key=lambda each: -each.count):
        typer.echo(f"{one.count:>7}  {one.was} → {one.now}  {one.action}  by {one.by}")
        typer.echo(f"         first: {', '.join(one.first)}")
    for why, count in told.unknown.most_common():
        typer.echo(f"{count:>7}  unknown: not kept, and decides: {why}")
    changed = sum(one.count for one in told.changed.values())
    unknown = sum(told.unknown.values())
    typer.echo(
        f"{told.decisions} decisions: {told.same} the same, {changed} changed, {unknown} unknown, "
        f"{told.built_in} by built-in rules"
    )


def learn(
    since: SinceOption = "7d",
    known: KnownOption = None,
    directory: LogOption = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Print the least that would have let through what was observed, each line with the calls that justify it.

    Learned from allowed calls alone. Nothing is put in force: read it, mend it, try it with `remit policy replay`.
    """
    from remit.cli.screen import print_json
    from remit.errors import NotFoundError
    from remit.policy.learn import learn as learned_from

    there, names = known_of(known, state)
    learned = learned_from(recorded(state, directory, since), names, there.trust_domain)
    if not learned.policies:
        raise NotFoundError(
            "nothing was observed that could be learned from", hint="`remit audit tail` shows the log"
        )
    if json:
        counts = {"from": learned.from_calls, "refused": learned.refused, "skipped": learned.skipped}
        counts["unlisted"] = learned.unlisted
        print_json({"policies": learned.policies, **counts, "text": learned.text})
    else:
        typer.echo(learned.text, nl=False)
