"""Each route and each command names its act, or says why it widens nothing; none is forgotten."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi.routing import APIRoute

from remit.cli import app
from remit.config.checks import PROOF_KINDS
from remit.control import api
from remit.control.desk import Desk
from remit.inventory.lifecycle import Verb
from remit.persons import Act, Kind
from remit.persons.acts import COMMANDS, ELSEWHERE, NARROWS, ROUTES

SOURCE = Path(__file__).parents[2] / "src" / "remit"


def routes() -> set[str]:
    desk: Any = object.__new__(Desk)
    found = set()
    for route in api.build(desk).routes:
        assert isinstance(route, APIRoute)
        for method in route.methods or ():
            paths = [route.path.replace("{verb}", verb) for verb in Verb] if "{verb}" in route.path else [route.path]
            found |= {f"{method} {path}" for path in paths}
    return found


def commands(command: Any, path: tuple[str, ...] = ()) -> set[str]:
    if not hasattr(command, "commands"):
        return {" ".join(path)}
    return {name for key, each in command.commands.items() for name in commands(each, (*path, key))}


def test_every_route_names_its_act_or_why_it_widens_nothing() -> None:
    assert routes() == set(ROUTES)


def test_every_command_names_its_act_or_why_it_widens_nothing() -> None:
    assert commands(typer.main.get_command(app)) == set(COMMANDS)


@pytest.mark.parametrize(
    "table", [ROUTES, COMMANDS, NARROWS, ELSEWHERE], ids=["routes", "commands", "narrows", "elsewhere"]
)
def test_a_reason_is_a_sentence(table: dict[Any, Act | str]) -> None:
    for key, said in table.items():
        assert isinstance(said, Act) or len(said.split()) >= 3, key


def test_a_route_that_changes_anything_is_not_said_to_read() -> None:
    assert {key for key, said in ROUTES.items() if said == "it only reads"} == {
        key for key in ROUTES if key.startswith("GET ")
    }


def test_every_act_is_behind_a_route_or_said_to_be_elsewhere() -> None:
    assert {said for said in ROUTES.values() if isinstance(said, Act)} == set(Act) - set(ELSEWHERE)


def test_every_act_of_a_route_that_widens_is_asked_for_by_a_desk() -> None:
    desks = "".join(path.read_text() for path in sorted((SOURCE / "control").glob("*.py")))
    assert 'Act(f"workload.{verb}")' in desks
    verbs = {f"workload.{verb}" for verb in Verb}
    for act in {said for said in ROUTES.values() if isinstance(said, Act) and said.widens and said not in verbs}:
        assert f".require(who, Act.{act.name}, " in desks, act


def test_the_settings_name_every_kind_in_its_order() -> None:
    assert tuple(Kind) == PROOF_KINDS
    assert inspect.getdoc(Kind)


def test_the_page_has_every_act_and_the_reason_of_those_that_need_no_proof() -> None:
    page = (SOURCE.parents[1] / "docs" / "person-proof.md").read_text()
    for act in Act:
        said = f"none needed: {NARROWS[act]} " if act in NARROWS else ""
        said += f"not asked for: {ELSEWHERE[act]} " if act in ELSEWHERE else ""
        assert f"| `{act}` | {said}|\n" in page
