"""Awkward questions: whatever stands in them, what no policy permits is never allowed, and each answer is one."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import ProtocolError
from remit.gateway.decisions.authzen import batch, evaluation
from tests.decisions.world import EVALUATION, EVALUATIONS, World, files, snapshot, world

POLICIES = """
@id("one") @reason("only this")
permit (principal, action == Action::"access", resource == Resource::"page/one")
when { context has access && context.access.name == "view" && context.access.who == "user/ada" };
"""
CATALOGUE = '[resource."page/one"]\n'
VIEW = {
    "subject": {"type": "user", "id": "ada"},
    "action": {"name": "view"},
    "resource": {"type": "page", "id": "one"},
}
ODD = ["one\n", "one\0", "one ", " one", "ONE", "оne", "\uff4fne", "o\u200bne", '"', "\\", "one\"'", "x" * 512]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("odd"), snapshot(catalogue_toml=CATALOGUE, p_cedar=POLICIES)) as here:
        yield here


def with_(part: str, key: str, said: str) -> dict[str, Any]:
    return {**VIEW, part: {**VIEW[part], key: said}}


PLACES = (("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id"))


def asked_all(here: World, questions: list[dict[str, Any]]) -> list[bool]:
    found: list[bool] = []
    for at in range(0, len(questions), 256):
        reply = here.post(EVALUATIONS, {"evaluations": questions[at : at + 256]})
        assert reply.status == 200, reply.body
        found += [one["decision"] for one in reply.body["evaluations"]]
    return found


def test_look_alikes_and_odd_letters_are_others(here: World) -> None:
    assert here.decision(VIEW) is True
    assert asked_all(here, [with_(*place, odd) for place in PLACES for odd in ODD]) == [False] * len(PLACES) * len(
        ODD
    )


def test_naughty_strings_allow_nothing(here: World, vectors: Path) -> None:
    naughty = json.loads((vectors / "blns.json").read_text())
    rows = naughty if isinstance(naughty, list) else [row["text"] for row in naughty["rows"]]
    texts = [row if isinstance(row, str) else str(row) for row in rows]
    questions = [with_(*place, text) for place in PLACES for text in texts if text]
    questions += [{**VIEW, "resource": {"type": "page", "id": "two", "properties": {text: text}}} for text in texts]
    assert not any(asked_all(here, questions))


def test_longer_than_anything_is_refused(here: World) -> None:
    for place in PLACES:
        assert here.post(EVALUATION, with_(*place, "x" * 10_000)).status == 400
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    many = {str(number): number for number in range(1_000)}
    for properties in (deep, many, {"a": "x" * 100_000}):
        said = here.post(EVALUATION, {**VIEW, "resource": {**VIEW["resource"], "properties": properties}})
        assert (said.status, said.body["decision"]) == (200, False)


KEYS = ["subject", "action", "resource", "context", "type", "id", "name", "properties", "evaluations", "options"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["subject", "action", "resource", "context", "evaluations", "options"]), JSON))
@settings(max_examples=300, deadline=None)
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    for read in (evaluation, batch):
        with contextlib.suppress(ProtocolError):
            read(body)


def test_every_decision_is_by_one_whole_set_of_policies(here: World) -> None:
    """While policies change, what is allowed is on record with the set that allows it, and so is what is refused."""
    opened = files(catalogue_toml=CATALOGUE, p_cedar=POLICIES)
    closed = files(catalogue_toml=CATALOGUE, n_cedar=POLICIES.replace("page/one", "page/none"))
    done, answered = threading.Event(), threading.Semaphore(0)

    def ask() -> None:
        while not done.is_set():
            here.decision(VIEW)
            answered.release()

    before = len(here.records())
    asking = [threading.Thread(target=ask) for _ in range(4)]
    for one in asking:
        one.start()
    for number in range(30):
        here.put(**(closed if number % 2 else opened))
        assert all(answered.acquire(timeout=10) for _ in range(3))
    done.set()
    for one in asking:
        one.join(20)
    made = here.records()[before:]
    outcomes = {(one["policy_set"] == opened["policy_set"], one["outcome"]) for one in made}
    assert outcomes == {(True, "allowed"), (False, "refused")}
