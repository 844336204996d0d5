"""`remit policy test`: the cases beside the policies, each asked, none acted on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.places import JsonOption, StateOption

if TYPE_CHECKING:
    from remit.policy.cases import CaseFile, Tried

MAX_BYTES = 1024 * 1024


def try_cases(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The policy directory, if not this instance's own.")
    ] = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Try the cases in `*.test.toml` beside the policies.

    Each says who asks for what, in which circumstances, and what must come out. Exit code 1 when one doesn't hold.
    """
    from remit.cli.policy_in_force import directory_of, files_in
    from remit.cli.screen import print_json
    from remit.policy.cases import tried

    where = directory_of(directory, state)
    results = tried(files_in(where), _case_files(where))
    failed = [one for one in results if not one.passed]
    if json:
        print_json({"ok": not failed, "dir": str(where), "cases": [_row(one) for one in results]})
    else:
        for one in failed:
            _tell(one)
        counted = f"{len(results)} case{'s' if len(results) != 1 else ''}"
        typer.echo(f"{'FAIL' if failed else 'ok  '} {counted}, {len(failed)} failed   {where}")
    if failed:
        raise typer.Exit(1)


def _case_files(where: Path) -> "list[CaseFile]":
    from remit.errors import UsageError
    from remit.policy.cases import SUFFIX, case_file

    paths = sorted(path for path in where.iterdir() if path.name.endswith(SUFFIX) and path.name[0] != ".")
    if not paths:
        raise UsageError(
            f"no case is in `{where}`", hint=f"cases are files named `*{SUFFIX}`: see docs/policy-tools.md"
        )
    return [case_file(path.name, read_text(path)) for path in paths]


def read_text(path: Path) -> str:
    """A file of somebody's own that a command was pointed at, within bounds; raises UsageError."""
    from remit.errors import UsageError

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise UsageError(f"`{path}` can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"`{path}` is no UTF-8") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"`{path}` is larger than {MAX_BYTES} bytes")
    return text


def _tell(one: "Tried") -> None:
    from remit.policy.explain import printable

    case = one.case
    typer.echo(f"FAIL {case.place}  {printable(case.name)}")
    if one.answer is None:
        typer.echo(f"     can't be asked: {printable(one.wrong)}")
        return
    wanted = case.expect.value + (f" by {case.rule}" if case.rule else "")
    places = ", ".join(str(ref) for ref in one.answer.policies) or one.answer.rule
    typer.echo(f"     expected {printable(wanted)}; it is {one.answer.outcome.value}: {places}")


def _row(one: "Tried") -> dict[str, Any]:
    case = one.case
    asked = {"who": case.supposed.who, "action": case.supposed.action, "what": case.supposed.what}
    row = {"file": case.file, "case": case.number, "name": case.name, "passed": one.passed, **asked}
    expected = {"outcome": case.expect.value, "rule": case.rule}
    return {**row, "expected": expected, "got": one.answer.to_json() if one.answer else None, "wrong": one.wrong}
