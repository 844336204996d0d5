"""Every AuthZEN vector: the interop scenarios' requests with the decisions and results that they expect."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.decisions import suites
from tests.decisions.world import EVALUATION, EVALUATIONS, World, snapshot, world

SEARCHES = {kind: f"/access/v1/search/{kind.removeprefix('search-')}" for kind in
            ("search-subject", "search-resource", "search-action")}  # fmt: skip


def rows(vectors: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (vectors / "authzen_vectors.jsonl").read_text().splitlines()]
    assert len(found) == 191
    return found


@pytest.fixture(scope="module")
def todo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    shot = snapshot(catalogue_toml=suites.todo_catalogue(suites.pids()), p_cedar=suites.TODO)
    with world(tmp_path_factory.mktemp("todo"), shot) as here:
        yield here


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    shot = snapshot(catalogue_toml=suites.todo_catalogue(suites.pids()), p_cedar=suites.GATEWAY)
    with world(tmp_path_factory.mktemp("gateways"), shot) as here:
        yield here


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    shot = snapshot(catalogue_toml=suites.search_catalogue(), p_cedar=suites.SEARCH)
    with world(tmp_path_factory.mktemp("records"), shot) as here:
        yield here


def test_every_decision_of_the_todo_application_and_of_the_gateways(
    vectors: Path, todo: World, gateways: World
) -> None:
    played: Counter[str] = Counter()
    for row in rows(vectors):
        if row["kind"] in {"evaluation", "decisions"}:
            here = gateways if "api-gateways" in row["suite"] else todo
            assert here.decision(row["request"]) is row["expected"], row
            played[row["kind"]] += 1
        elif row["kind"] == "evaluations":
            said = todo.post(EVALUATIONS, row["request"]).body["evaluations"]
            assert [one["decision"] for one in said] == [one["decision"] for one in row["expected"]], row
            played[row["kind"]] += 1
    assert played == {"evaluation": 145, "decisions": 40, "evaluations": 3}


def test_every_search(vectors: Path, records: World) -> None:
    played = 0
    for row in rows(vectors):
        for one in row.get("data", {}).get("evaluation", ()):
            said = records.post(SEARCHES[row["kind"]], one["request"])
            assert said.status == 200, said.body
            assert suites.names(said.body["results"]) == suites.names(one["expected"]["results"]), one
            played += 1
    assert played == 198


def test_a_decision_is_what_the_log_says(todo: World) -> None:
    asked = {"subject": {"type": "user", "id": "jerry@the-smiths.com"}, "action": {"name": "can_create_todo"},
             "resource": {"type": "todo", "id": "todo-1"}}  # fmt: skip
    said = todo.post(EVALUATION, asked).body
    [record] = [one for one in todo.records() if one["id"] == said["context"]["id"]]
    assert (record["outcome"], record["rule"], record["action"]) == ("refused", "default-deny", "access")
    assert "jerry" not in json.dumps(record)
