"""AuthZEN as its certification scenario has it: the fixture's decisions, and what is refused with which status."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.decisions.world import EVALUATION, EVALUATIONS, World, snapshot, world

CATALOGUE = """
[subject."user/alice"]
[subject."user/bob"]
facts = { role = "admin" }
[resource."record/record-1"]
facts = { kind = "record" }
[resource."record/record-2"]
facts = { status = "archived" }
"""
POLICIES = """
@id("reads") @reason("who is listed reads what is listed")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.subject.known && resource.known && context.access.name == "read" };

@id("alice-writes") @reason("alice writes what is not archived")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.who == "user/alice" && context.access.name == "write" &&
       !context.access.what_is.contains("status=archived") };

@id("admins-write-archives") @reason("an archive is its admins'")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.name == "write" && context.access.who_is.contains("role=admin") &&
       context.access.what_is.contains("status=archived") };

@id("soft") @reason("alice deletes softly")
permit (principal, action == Action::"access", resource)
when { context has access && context.access.who == "user/alice" && context.access.name == "delete" &&
       context.access.says.contains("soft=true") };
"""
ALICE, BOB = {"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}
ONE, TWO = {"type": "record", "id": "record-1"}, {"type": "record", "id": "record-2"}
READ, WRITE = {"name": "read"}, {"name": "write"}
ARCHIVED = {**TWO, "properties": {"status": "archived"}}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    shot = snapshot(catalogue_toml=CATALOGUE, p_cedar=POLICIES)
    with world(tmp_path_factory.mktemp("certified"), shot) as here:
        yield here


def asks(subject: Any = ALICE, action: Any = READ, resource: Any = ONE, **more: Any) -> dict[str, Any]:
    parts = {"subject": subject, "action": action, "resource": resource, **more}
    return {key: value for key, value in parts.items() if value is not None}


@pytest.mark.parametrize(
    ("asked", "decision"),
    [
        (asks(), True),
        (asks(action=WRITE), True),
        (asks(BOB), True),
        (asks(BOB, WRITE), False),
        (asks(action=WRITE, resource=ARCHIVED), False),
        (asks({**BOB, "properties": {"role": "admin"}}, WRITE, ARCHIVED), True),
        (asks(action={"name": "delete", "properties": {"soft": True}}), True),
        (asks(action={"name": "delete", "properties": {"soft": False}}), False),
        (asks(context={"time": "2025-06-27T18:03-07:00"}), True),
        (asks({**ALICE, "properties": {"department": "Sales"}}, {**READ, "properties": {"method": "GET"}}), True),
        (asks(foo="bar", futureField={"nested": True}), True),
        (asks({**ALICE, "properties": {"role": "admin"}}, WRITE, ARCHIVED), True),
        (asks(action=WRITE, resource={**TWO, "properties": {"status": "active"}}), False),
    ],
)
def test_the_fixture_s_decisions(here: World, asked: dict[str, Any], *, decision: bool) -> None:
    assert [here.decision(asked) for _ in range(2)] == [decision] * 2


@pytest.mark.parametrize(
    "asked",
    [
        asks(subject=None),
        asks(action=None),
        asks(resource=None),
        asks({"id": "alice"}),
        asks({"type": "user"}),
        asks(action={}),
        asks(resource={"id": "record-1"}),
        asks(resource={"type": "record"}),
        asks("alice"),
        asks(action={"name": 123}),
        asks(context="none"),
        asks({**ALICE, "properties": []}),
        asks({"type": "user", "id": "a" * 513}),
        b"",
        b"{",
        b"[]",
        b'{"subject": 1, "subject": 2}',
    ],
)
def test_what_can_t_be_read_is_no_question(here: World, asked: Any) -> None:
    reply = here.post(EVALUATION, asked)
    assert reply.status == 400
    assert set(reply.body) <= {"error", "hint"}


def test_other_errors_have_their_own_status(here: World) -> None:
    body = json.dumps(asks()).encode()
    assert here.request("POST", EVALUATION, body, content_type="text/plain").status == 400
    assert here.request("GET", EVALUATION).status == 405
    assert here.request("POST", "/access/v1/nothing", body).status == 404
    assert here.request("POST", EVALUATION, body, origin="https://evil.example").status == 403


def test_the_request_s_id_comes_back(here: World) -> None:
    assert here.post(EVALUATION, asks(), x_request_id="abc-1").headers["x-request-id"] == "abc-1"
    assert here.post(EVALUATION, b"{", x_request_id="abc-2").headers["x-request-id"] == "abc-2"
    assert "x-request-id" not in here.post(EVALUATION, asks()).headers


def test_the_discovery_document(here: World) -> None:
    reply = here.request("GET", "/.well-known/authzen-configuration")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert {path.rpartition("/access/v1/")[2] for path in reply.body.values()} == {
        *("http://localhost", "evaluation", "evaluations"),
        *("search/subject", "search/resource", "search/action"),
    }


@pytest.mark.parametrize(
    ("asked", "decisions"),
    [
        ({"subject": ALICE, "action": READ, "evaluations": [{"resource": ONE}, {"resource": TWO}]}, [True, True]),
        ({"subject": BOB, "resource": ONE, "evaluations": [{"action": READ}, {"action": WRITE}]}, [True, False]),
        ({"action": WRITE, "resource": ARCHIVED, "evaluations": [
            {"subject": ALICE}, {"subject": {**BOB, "properties": {"role": "admin"}}}]}, [False, True]),
        ({"evaluations": [asks(), asks(BOB, WRITE)]}, [True, False]),
        ({"subject": ALICE, "action": READ, "evaluations": [{"resource": ONE}, {}]}, [True, False]),
        ({"subject": ALICE, "action": READ, "evaluations": [{"resource": ONE}, 7]}, [True, False]),
        ({"subject": ALICE, "action": WRITE, "resource": {"type": "record"}, "evaluations": [
            {"resource": {"id": "record-1", "properties": {"status": "active"}}}, {"resource": ARCHIVED}]},
            [True, False]),
    ],
)  # fmt: skip
def test_several_in_one(here: World, asked: dict[str, Any], decisions: list[bool]) -> None:
    reply = here.post(EVALUATIONS, asked)
    assert (reply.status, [one["decision"] for one in reply.body["evaluations"]]) == (200, decisions)


def test_a_common_part_s_properties_are_not_mixed_into_one_s_own(here: World) -> None:
    """A part of one replaces the common one: only what it must have is taken from there."""
    admin = {**BOB, "properties": {"role": "admin"}}
    asked = {"subject": {**ALICE, "properties": {"role": "admin"}}, "action": WRITE, "resource": ARCHIVED,
             "evaluations": [{}, {"subject": ALICE}, {"subject": admin}]}  # fmt: skip
    said = here.post(EVALUATIONS, asked).body["evaluations"]
    assert [one["decision"] for one in said] == [True, False, True]


@pytest.mark.parametrize(
    ("semantic", "order", "decisions"),
    [
        ("execute_all", [READ, WRITE, READ], [True, False, True]),
        ("deny_on_first_deny", [READ, WRITE, READ], [True, False]),
        ("permit_on_first_permit", [WRITE, READ, WRITE], [False, True]),
        ("permit_on_first_permit", [WRITE, WRITE], [False, False]),
        ("deny_on_first_deny", [READ, READ], [True, True]),
    ],
)
def test_the_three_semantics(here: World, semantic: str, order: list[Any], decisions: list[bool]) -> None:
    asked = {"subject": BOB, "resource": ONE, "options": {"evaluations_semantic": semantic},
             "evaluations": [{"action": action} for action in order]}  # fmt: skip
    said = here.post(EVALUATIONS, asked).body["evaluations"]
    assert [one["decision"] for one in said] == decisions


def test_a_batch_is_bounded_and_its_semantic_known(here: World) -> None:
    many = {"evaluations": [asks()] * 257}
    assert here.post(EVALUATIONS, many).status == 413
    unknown = {"evaluations": [asks()], "options": {"evaluations_semantic": "all_of_them"}}
    assert here.post(EVALUATIONS, unknown).status == 400
    assert here.post(EVALUATIONS, {**asks(), "evaluations": []}).body["decision"] is True


SUBJECT, RESOURCE, ACTION = (f"/access/v1/search/{part}" for part in ("subject", "resource", "action"))


def results(here: World, path: str, asked: dict[str, Any]) -> list[str]:
    reply = here.post(path, asked)
    assert reply.status == 200, reply.body
    return [one.get("id") or one["name"] for one in reply.body["results"]]


def test_searches(here: World) -> None:
    assert results(here, SUBJECT, asks({"type": "user"})) == ["alice", "bob"]
    assert results(here, RESOURCE, asks(resource={"type": "record"})) == ["record-1", "record-2"]
    assert results(here, ACTION, asks(action=None)) == ["read", "write"]
    assert results(here, ACTION, asks(BOB, None, ARCHIVED)) == ["read", "write"]
    assert results(here, SUBJECT, asks({"type": "spaceship"})) == []
    assert results(here, ACTION, asks({"type": "user", "id": "nobody"}, None)) == []


def test_a_search_goes_on_where_its_page_ended(here: World) -> None:
    asked, seen, token = asks({"type": "user"}), list[str](), ""
    for _ in range(5):
        body = here.post(SUBJECT, {**asked, "page": {"limit": 1, "token": token}}).body
        seen += [one["id"] for one in body["results"]]
        if not (token := body["page"]["next_token"]):
            break
    assert seen == ["alice", "bob"]
    for page in ({"token": "no"}, {"limit": 0}, {"limit": "x"}, 7):
        assert here.post(SUBJECT, {**asked, "page": page}).status == 400


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (SUBJECT, asks({"type": "user"}, None)),
        (RESOURCE, asks(None, READ, {"type": "record"})),
        (ACTION, asks(action=None, resource=None)),
        (SUBJECT, asks({"type": "user"}, READ, {"type": "record"})),
        (RESOURCE, asks({"type": "user"}, READ, {"type": "record"})),
    ],
)
def test_a_search_without_what_it_needs(here: World, path: str, asked: dict[str, Any]) -> None:
    assert here.post(path, asked).status == 400


def test_a_search_is_on_record(here: World) -> None:
    here.post(SUBJECT, asks({"type": "user"}))
    last = here.records("act")[-1]
    assert (last["what"], last["subject"], last["facts"]["found"]) == ("decisions.searched", "subject", 2)
