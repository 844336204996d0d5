"""One request is looked through once: what many questions have in common counts for each of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.decisions.world import EVALUATION, EVALUATIONS, World, snapshot, world

TOOLS = "".join(f'[tool."mail/t{n}"]\n' for n in range(40))
POLICY = '@id("all") permit (principal, action == Action::"call_tool", resource);'
SEARCH = "/access/v1/search/resource"
LONG = {"arguments": {"body": "to be looked through " * 5_000}}  # 105 kB
SHORT = {"arguments": {"body": "to be looked through"}}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place: Path = tmp_path_factory.mktemp("weight")
    with world(place, snapshot(catalogue_toml=TOOLS, p_cedar=POLICY), ()) as made:
        yield made


def question(context: Any, **more: Any) -> dict[str, Any]:
    return {"subject": {"type": "human", "id": "ada"}, "action": {"name": "call_tool"},
            "resource": {"type": "tool", "id": "mail/t1"}, "context": context, **more}  # fmt: skip


def test_a_long_question_is_answered(here: World) -> None:
    assert here.decision(question(LONG)) is True


def test_one_that_is_too_long_is_refused(here: World) -> None:
    reply = here.post(EVALUATION, question({"text": "x" * (1 << 20)}))
    assert (reply.status, "looked through" in reply.body["error"]) == (413, True)


def test_what_questions_have_in_common_counts_for_each(here: World) -> None:
    assert here.post(EVALUATIONS, question(LONG, evaluations=[{}] * 5)).status == 200
    assert here.post(EVALUATIONS, question(LONG, evaluations=[{}] * 11)).status == 413
    own = [{"context": LONG}] * 11
    assert here.post(EVALUATIONS, question(SHORT, evaluations=own)).status == 413
    assert here.post(EVALUATIONS, question(SHORT, evaluations=[{}] * 200)).status == 200


def test_a_search_looks_through_a_long_context_for_fewer_candidates_a_page(here: World) -> None:
    body = question(SHORT, resource={"type": "tool"})
    assert len(here.post(SEARCH, body).body["results"]) == 40
    body = question(LONG, resource={"type": "tool"})
    found: list[Any] = []
    pages = 0
    token = ""
    while pages == 0 or token:
        answer = here.post(SEARCH, {**body, "page": {"token": token}}).body
        found, pages, token = found + answer["results"], pages + 1, answer["page"]["next_token"]
    assert (len(found), pages) == (40, 5)
