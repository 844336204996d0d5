"""`remit policy fmt`: policy files in one layout, their comments and their meaning kept."""

import os
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from remit.cli.places import JsonOption, StateOption


def fmt(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The policy directory, if not this instance's own.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when a file would change.")
    ] = False,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Lay the policy files out as Cedar does.

    Comments stay, and what the policies say never changes: a file that Cedar would make another of is left alone.
    """
    from remit.cli.policy_in_force import directory_of, files_in
    from remit.cli.screen import print_json
    from remit.policy.directory import SUFFIX
    from remit.policy.fmt import formatted

    where = directory_of(directory, state)
    made = {file: formatted(file) for file in files_in(where) if file.name.endswith(SUFFIX)}
    changed = [file.name for file, text in made.items() if text != file.text]
    if not check:
        for file, text in made.items():
            if text != file.text:
                _replace(where / file.name, text)
    if json:
        print_json({"ok": not (check and changed), "dir": str(where), "changed": changed, "files": len(made)})
    else:
        for name in changed:
            typer.echo(f"{'would change' if check else 'changed'}  {name}")
        typer.echo(f"{len(made)} file{'s' if len(made) != 1 else ''}, {len(changed)} changed   {where}")
    if check and changed:
        raise typer.Exit(1)


def _replace(path: Path, text: str) -> None:
    """In one step, with the file's own mode: whoever reads the directory meanwhile sees a whole file."""
    from remit.errors import UsageError

    real = path.resolve()
    draft = real.with_name(f".{real.name}.{token_hex(4)}.new")
    try:
        mode = real.stat().st_mode & 0o777
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), mode)
            file.write(text)
        draft.replace(real)
    except OSError as error:
        raise UsageError(f"`{path}` can't be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
