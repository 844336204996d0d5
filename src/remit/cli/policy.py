"""`remit policy`: check the policy files and show what they say. Reads files only: nothing has to run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli import policy_cases, policy_diff, policy_fmt, policy_pack, policy_replay
from remit.cli.places import JsonOption, StateOption
from remit.cli.policy_in_force import PolicyPlace, policies_at

if TYPE_CHECKING:
    from remit.policy import Policy

app = typer.Typer(
    help="Check and show the policies that decide who may do what.", no_args_is_help=True, rich_markup_mode=None
)


PoliciesOption = Annotated[
    Path | None, typer.Option("--policies", metavar="DIR", help="The policy directory, if not this instance's own.")
]


@app.command()
def check(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The policy directory, if not this instance's own.")
    ] = None,
    policies: PoliciesOption = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Load the policies as `remit up` would.

    The first error is told with file, line and column, and ends with exit code 2.
    """
    from remit.cli.screen import print_json
    from remit.policy import load

    at = policies_at(directory or policies, state)
    loaded = load(at.files)
    permits = sum(policy.effect == "permit" for policy in loaded.policies)
    forbids = len(loaded.policies) - permits
    if json:
        counts = {
            "files": len(loaded.files),
            "permits": permits,
            "forbids": forbids,
            "profiles": sorted(loaded.profiles),
        }
        print_json({"ok": True, **_place(at), "set": loaded.digest, **counts})
        return
    profiles = f", {_count(len(loaded.profiles), 'profile')}" if loaded.profiles else ""
    files = f"{len(loaded.files)} file{'s' if len(loaded.files) != 1 else ''}"
    typer.echo(f"ok   {files}, {_count(permits, 'permit')}, {_count(forbids, 'forbid')}{profiles}   {at.path}")
    typer.echo(f"     {loaded.digest}" + (f"   {at.signed}" if at.signed else ""))
    _say_not_enforcing(at)


@app.command()
def show(
    policies: PoliciesOption = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """List each policy.

    Its id and place, which actions it permits or forbids, why it exists, and what it lets happen to findings.
    """
    from remit.cli.screen import print_json
    from remit.policy import load

    at = policies_at(policies, state)
    loaded = load(at.files)
    if json:
        print_json({**_place(at), "set": loaded.digest, "policies": [_facts(one) for one in loaded.policies]})
        return
    width = max(len(policy.ref.id) for policy in loaded.policies)
    for policy in loaded.policies:
        facts = _facts(policy)
        typer.echo(f"{policy.effect:<6}  {policy.ref.id:<{width}}  {', '.join(facts['actions'])}")
        typer.echo(
            f"        {policy.ref.file}:{policy.ref.line}" + (f"   {facts['reason']}" if facts["reason"] else "")
        )
        if facts["findings"]:
            typer.echo(
                "        findings: " + ", ".join(f"{label} {what}" for label, what in facts["findings"].items())
            )
        if facts["approval"]:
            typer.echo(f"        takes an approval: {facts['approval']}")
        if facts["observed"]:
            typer.echo("        NOT ENFORCED: only observed")
    _say_not_enforcing(at)


def _say_not_enforcing(at: PolicyPlace) -> None:
    if at.not_enforcing:
        typer.echo(at.not_enforcing)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"


def _place(at: PolicyPlace) -> dict[str, str]:
    return {"dir": str(at.path), "signed": at.signed, "not_enforcing": at.not_enforcing}


def _facts(policy: "Policy") -> dict[str, Any]:
    from remit.policy import Action
    from remit.policy.explain import printable
    from remit.policy.mode import Approver

    return {
        "id": policy.ref.id,
        "file": policy.ref.file,
        "line": policy.ref.line,
        "effect": policy.effect,
        "actions": [action.value for action in Action if action in policy.actions],
        "reason": printable(policy.ref.reason),
        "hint": printable(policy.hint),
        "approval": policy.approver.word if policy.approver is not Approver.NOBODY else "",
        "observed": policy.observed,
        "findings": {label.value: treatment.value for label, treatment in policy.plan.items()},
    }


app.command("test")(policy_cases.try_cases)
app.command()(policy_fmt.fmt)
app.command()(policy_diff.diff)
app.command()(policy_replay.replay)
app.command()(policy_replay.learn)
app.command()(policy_pack.pack)
app.command()(policy_pack.verify)
