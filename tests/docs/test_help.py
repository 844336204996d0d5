"""docs/commands.md shows what the program prints, for every command there is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from remit.cli import app
from tests.docs.pages import blocks

REMIT = str(Path(sys.executable).parent / "remit")
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}} | {
    "COLUMNS": "100",
    "TERM": "dumb",
}


def shown() -> dict[str, str]:
    """Each command line on the page with what is said to follow."""
    found = {}
    for block in blocks("docs/commands.md"):
        line, _, output = block.partition("\n")
        found[line.removeprefix("$ ")] = output
    return found


def all_commands() -> set[str]:
    def below(command: object, words: tuple[str, ...]) -> set[str]:
        own = {" ".join((*words, "--help"))}
        for name, child in getattr(command, "commands", {}).items():
            own |= below(child, (*words, name))
        return own

    assert isinstance(app, typer.Typer)
    return below(get_command(app), ("remit",))


def test_every_command_is_on_the_page() -> None:
    assert set(shown()) == all_commands()


@pytest.mark.parametrize("line", sorted(shown()))
def test_the_page_shows_what_the_program_prints(line: str) -> None:
    done = subprocess.run(
        [REMIT, *line.split()[1:]], env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60
    )
    assert shown()[line].rstrip() == done.stdout.rstrip()
