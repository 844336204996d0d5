"""`remit policy diff`: who gains and who loses by a change of policies, before it is in force."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption
from remit.cli.policy_known import KnownOption, known_of

if TYPE_CHECKING:
    from remit.policy.reach import Change

NOT_TRIED = (
    "every circumstance is in this; not in it: who and what isn't known yet or not yours to see, later changes of "
    "owners and labels, built-in rules (tasks, lifecycle)"
)
MAX_NAMES = 6


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A policy directory.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The one that is to follow it.")],
    known: KnownOption = None,
    no_new_reach: Annotated[
        bool, typer.Option("--no-new-reach", help="Exit code 3 when anybody gains, or may gain, anything.")
    ] = False,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Compare what two policy directories let known people and workloads do.

    All known people, workloads and things are tried with every action, in all circumstances at once. `may gain` is
    where conditions differ and nothing shows that the new ones are narrower. Profiles of tasks are compared as well.
    """
    from remit.cli.policy_in_force import files_in
    from remit.cli.screen import print_json
    from remit.policy.in_force import InForce
    from remit.policy.profile_difference import profile_changes
    from remit.policy.reach import compare

    there, _ = known_of(known, state)
    before, after = (InForce(there.snapshot(files_in(one))) for one in (old, new))
    compared = compare(before, after)
    profiles = profile_changes(before.policies.profiles, after.policies.profiles)
    grows = compared.grows or any(one.kind.grows for one in profiles)
    if json:
        counts = {"who": compared.who, "what": compared.what, "asked": compared.asked, "tried": compared.tried}
        rows = [_row(change) for change in compared.changes]
        named = [{"kind": one.kind.value, "name": one.name, "why": one.why} for one in profiles]
        print_json({"grows": grows, "changes": rows, "profiles": named, "not_tried": NOT_TRIED, **counts})
    else:
        for change in compared.changes:
            _tell(change)
        for one in profiles:
            typer.echo(f"{one.kind.value:<8}  tasks of profile {one.name}: {one.why}")
        verdict = "reach grows" if grows else "no new reach" if compared.changes or profiles else "no change"
        typer.echo(f"{verdict}: {compared.who} who, {compared.what} what, {compared.asked} questions")
        typer.echo(f"  {NOT_TRIED}")
    if no_new_reach and grows:
        raise typer.Exit(3)


def _tell(change: "Change") -> None:
    from remit.policy.explain import printable

    who, what = (printable(_some(names)) for names in (change.who, change.what))
    typer.echo(f"{change.kind.value:<8}  {who}  {change.action.value}  {what}")
    by = ", ".join(str(ref) for ref in change.by)
    typer.echo(f"          {change.before} → {change.after}" + (f"   by {by}" if by else ""))


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _row(change: "Change") -> dict[str, Any]:
    by = [{"id": ref.id, "file": ref.file, "line": ref.line} for ref in change.by]
    asked = {"who": list(change.who), "action": change.action.value, "what": list(change.what)}
    return {"kind": change.kind.value, **asked, "before": change.before, "after": change.after, "by": by}
