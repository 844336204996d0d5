"""Token exchange by JWT-SVIDs: a workload's own identity in, actors named, all of it of one person."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.control.clients import Client
from remit.control.oauth_form import ACCESS_TOKEN, JWT, SPIFFE_ASSERTION, Asked, exchange, fields
from remit.control.realm import Trust
from remit.control.tasking import PARTS_KEPT
from remit.control.token_endpoint import TokenEndpoint
from remit.errors import IdentityError
from remit.identity import Authority, SpiffeId, access_token
from remit.identity.oidc import TOKEN_EXCHANGE
from remit.inventory import Human, Kind, Workload
from remit.inventory.lifecycle import Actor, Verb
from remit.tasks.delegation import UNAVAILABLE, DelegationError
from tests.control.test_realm import LLAMA, World, a_server

ISSUER = "http://127.0.0.1:7399"
HELPER = SpiffeId.parse("spiffe://maple.local/agent/helper")
AGENT = SpiffeId.parse("spiffe://maple.local/agent/agent")
BOBS = SpiffeId.parse("spiffe://maple.local/agent/bobs")


class Office:
    """A token endpoint over a real realm and authority, with ada's server and agents, and an agent of bob's."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory)
        self.authority = Authority.create("maple.local", self.world.now)
        self.delivered, self.settled = 0, True
        realm = self.world.realm
        realm.trust = Trust("maple.local", (), self.authority.bundle().jwks(), ISSUER)
        self.ada, self.bob = self.world.meet("ada", 1000), self.world.meet("bob", 1001)
        doors = {"llama-8080": {"base_url": "http://127.0.0.1:7400/v1"}}
        self.endpoint = TokenEndpoint(realm, lambda: self.authority, ISSUER, doors, self._deliver)
        for spiffe_id, owner in ((LLAMA, "ada"), (AGENT, "ada"), (HELPER, "ada"), (BOBS, "bob")):
            name = spiffe_id.path.rpartition("/")[2]
            kind = Kind.MODEL_SERVER if spiffe_id == LLAMA else Kind.AGENT
            one = dataclasses.replace(a_server(owner), spiffe_id=spiffe_id, name=name, kind=kind)
            self._enrol(one)

    def _enrol(self, workload: Workload) -> None:
        self.world.run(lambda: self.world.realm.lives.enrol(workload))

    async def _deliver(self) -> bool:
        self.delivered += 1
        return self.settled

    def client(self, spiffe_id: SpiffeId | None = None, human: Human | None = None) -> Client:
        workload: Workload | None = self.world.realm.workloads[spiffe_id] if spiffe_id else None
        return Client(human or self.ada, workload, spiffe_id is None, 1000)

    def svid(self, spiffe_id: SpiffeId, audience: str = ISSUER) -> str:
        return self.authority.issue_jwt(spiffe_id, (audience,), self.world.now).token.reveal()

    def exchange(self, client: Client, subject: str, **more: str) -> dict[str, Any]:
        asked = self.asked(subject, **more)
        answer: dict[str, Any] = asyncio.run(self.endpoint.exchange(client, asked))
        return answer

    def asked(self, subject: str, **more: str) -> Asked:
        form = {
            "grant_type": [TOKEN_EXCHANGE],
            "subject_token": [subject],
            "subject_token_type": [ACCESS_TOKEN if subject.startswith("remit_") else JWT],
            **{name: [value] for name, value in more.items()},
        }
        return exchange(form)

    def refused(self, code: str, client: Client, subject: str, **more: str) -> str:
        before = len(self.world.realm.tasks)
        with pytest.raises(DelegationError) as raised:
            self.exchange(client, subject, **more)
        assert raised.value.code == code, raised.value
        assert len(self.world.realm.tasks) == before
        assert self.world.acts[-1][0] == "token.refused"
        return str(raised.value)

    def read(self, token: str) -> access_token.AccessToken:
        keys = self.authority.bundle().jwks()
        return access_token.verify(token, keys, issuer=ISSUER, audience=LLAMA, now=self.world.now)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.world.store.close()


NAMED = {"resource": str(LLAMA), "scope": "infer"}


def test_a_workload_narrows_what_it_is_and_hands_that_on(office: Office) -> None:
    answer = office.exchange(office.client(AGENT), office.svid(AGENT), **NAMED)
    said = office.read(answer["access_token"])
    assert (said.subject, said.actors, said.scope) == (AGENT, (AGENT,), ("infer",))
    [task] = [one for one in office.world.realm.tasks.values() if one.id == said.id]
    assert not task.of_a_person
    assert office.delivered == 1
    actor = {"actor_token": office.svid(HELPER), "actor_token_type": JWT}
    handed = office.exchange(office.client(AGENT), office.svid(AGENT), **NAMED, **actor)
    assert office.read(handed["access_token"]).actors == (AGENT, HELPER)


def test_every_name_of_one_workload_is_that_workload(office: Office) -> None:
    for name in (str(LLAMA), "llama-8080", "http://127.0.0.1:7400/v1", "http://127.0.0.1:7400/v1/"):
        answer = office.exchange(office.client(AGENT), office.svid(AGENT), resource=name, scope="infer")
        assert office.read(answer["access_token"]).audience == LLAMA
    both = {"resource": str(LLAMA), "audience": str(AGENT), "scope": "infer"}
    office.refused("invalid_target", office.client(AGENT), office.svid(AGENT), **both)


def test_another_person_s_another_audience_s_and_old_tokens_are_refused(office: Office) -> None:
    ada = office.client(AGENT)
    office.refused("invalid_grant", ada, office.svid(BOBS), **NAMED)
    office.refused("invalid_grant", ada, office.svid(AGENT, "spiffe://maple.local/other"), **NAMED)
    for spiffe_id in (BOBS, LLAMA.__class__.parse("spiffe://maple.local/agent/unknown")):
        actor = {"actor_token": office.svid(spiffe_id), "actor_token_type": JWT}
        office.refused("invalid_grant", ada, office.svid(AGENT), **NAMED, **actor)
    old = office.svid(AGENT)
    stale = {"actor_token": office.svid(HELPER), "actor_token_type": JWT}
    office.world.now += 400
    office.refused("invalid_grant", ada, old, **NAMED)
    office.refused("invalid_grant", ada, office.svid(AGENT), **NAMED, **stale)


def test_another_person_s_process_gets_nothing_for_a_token_that_it_found(office: Office) -> None:
    _, token = start(office)
    _, session = office.world.run(lambda: office.world.realm.delegating.begin(office.ada, 600.0, "terminal"))
    for found in (token, session):
        office.refused("invalid_grant", office.client(human=office.bob), found, **NAMED)


def test_the_client_s_own_svid_says_what_it_is_only_for_its_own_person(office: Office) -> None:
    def shown(spiffe_id: SpiffeId) -> dict[str, str]:
        return {"client_assertion": office.svid(spiffe_id), "client_assertion_type": SPIFFE_ASSERTION}

    _, token = start(office)
    answer = office.exchange(office.client(), token, **shown(AGENT))
    assert office.read(answer["access_token"]).actors == (AGENT,)
    office.refused("invalid_client", office.client(), token, **shown(BOBS))
    office.refused("invalid_client", office.client(HELPER), token, **shown(AGENT))


def test_a_hand_that_is_not_active_is_stale(office: Office) -> None:
    realm = office.world.realm
    _, token = start(office)
    first = office.exchange(office.client(AGENT), token)["access_token"]
    office.world.run(lambda: realm.lives.move(AGENT, Verb.SUSPEND, Actor.OWNER, office.ada, "terminal"))
    office.refused("invalid_grant", office.client(HELPER), first)
    office.refused("invalid_client", office.client(AGENT), token)
    office.refused("invalid_grant", office.client(HELPER), office.svid(AGENT), **NAMED)
    actor = {"actor_token": office.svid(HELPER), "actor_token_type": JWT}
    assert "suspended" in office.refused("invalid_client", office.client(AGENT), token, **actor)
    office.world.run(lambda: realm.lives.move(AGENT, Verb.RESUME, Actor.OWNER, office.ada, "terminal"))
    office.refused("invalid_grant", office.client(HELPER), first)
    assert office.read(office.exchange(office.client(AGENT), token)["access_token"]).actors == (AGENT,)


def test_a_session_is_not_an_agent_s_to_use(office: Office) -> None:
    session, token = office.world.run(lambda: office.world.realm.delegating.begin(office.ada, 600.0, "terminal"))
    office.refused("unauthorized_client", office.client(AGENT), token, **NAMED)
    unknown = dataclasses.replace(office.client(), a_person=False)
    office.refused("unauthorized_client", unknown, token, **NAMED)
    actor = {"actor_token": office.svid(AGENT), "actor_token_type": JWT}
    answer = office.exchange(office.client(), token, **NAMED, **actor)
    said = office.read(answer["access_token"])
    assert (str(said.subject), said.actors) == ("spiffe://maple.local/user/ada", (AGENT,))
    assert office.world.realm.tasks[said.id].parent == session.id
    assert answer["expires_in"] == 600


def test_nobody_s_server_is_lent_by_a_session(office: Office) -> None:
    bob = office.client(human=office.bob)
    _, token = office.world.run(lambda: office.world.realm.delegating.begin(office.bob, 600.0, "terminal"))
    assert "not a workload that bob owns" in office.refused("invalid_target", bob, token, **NAMED)


def test_what_was_cut_ends_with_it_on_record_one_by_one(office: Office) -> None:
    task, token = start(office)
    first = office.exchange(office.client(AGENT), token)["access_token"]
    second = office.exchange(office.client(HELPER), first)["access_token"]
    office.world.run(lambda: office.world.realm.tasking.end(task, "done"))
    parts = [office.read(one).id for one in (first, second)]
    assert [act[1] for act in office.world.acts if act[0] == "task.ended"] == [task, *parts]
    assert office.world.realm.snapshot().tasks == ()


def test_what_was_cut_from_what_was_cut_ends_however_often_that_was_done(office: Office) -> None:
    task, token = start(office)
    for _ in range(400):
        token = office.exchange(office.client(AGENT), token)["access_token"]
    office.world.run(lambda: office.world.realm.tasking.end(task, "done"))
    assert office.world.realm.snapshot().tasks == ()
    office.world.restart()
    assert office.world.realm.snapshot().tasks == ()


def test_gateways_hear_of_an_end_before_the_disk_does(office: Office) -> None:
    task, token = start(office)
    office.exchange(office.client(AGENT), token)
    realm, heard = office.world.realm, []
    realm.narrowed = lambda: heard.append((len(office.world.acts), realm.current().tasks))
    before = len(office.world.acts)
    office.world.run(lambda: realm.tasking.end(task, "done"))
    assert heard == [(before, ())]


def test_parts_are_forgotten_an_hour_after_their_end_and_stay_ended(office: Office) -> None:
    task, token = start(office)
    part = office.read(office.exchange(office.client(AGENT), token)["access_token"]).id
    own = office.read(office.exchange(office.client(AGENT), office.svid(AGENT), **NAMED)["access_token"]).id
    realm = office.world.realm
    office.world.run(lambda: realm.tasking.end(task, "done"))
    office.world.run(lambda: realm.tasking.end(own, "done"))
    for later, kept in ((PARTS_KEPT, {task, part, own}), (1.0, {task})):
        office.world.now += later
        office.world.run(realm.tasking.forget_parts)
        assert set(realm.tasks) == {one.id for one in office.world.store.tasks()} == kept
    office.refused("invalid_grant", office.client(AGENT), token)
    again = office.world.restart(ended={task: 1_000.0, part: 1_000.0, own: 1_000.0})
    assert set(again.tasks) == {task}


def test_what_was_cut_has_ended_after_a_crash_between_two_ends(office: Office) -> None:
    task, token = start(office)
    first = office.read(office.exchange(office.client(AGENT), token)["access_token"])
    second = office.read(office.exchange(office.client(AGENT), token)["access_token"])
    realm = office.world.restart(ended={task: office.world.now})
    assert all(realm.tasks[one].ended is not None for one in (task, first.id, second.id))


def test_a_refusal_is_not_told_as_anything_else_when_the_log_is_full(office: Office) -> None:
    _, token = start(office)
    office.world.log_fails = True
    with pytest.raises(Exception, match="the log is full"):
        office.exchange(office.client(AGENT), token)
    office.world.log_fails = False
    assert len(office.world.realm.tasks) == 1


@pytest.mark.parametrize(
    "claims",
    [{"issuer": "http://elsewhere"}, {"audience": AGENT}, {"expires": 999}, {"issued": 2_000}],
)
def test_an_access_token_is_read_strictly(office: Office, claims: dict[str, Any]) -> None:
    signer = office.authority.jwt_authorities[0]
    good = access_token.AccessToken(ISSUER, AGENT, LLAMA, ("infer",), (AGENT, HELPER), 1_000, 1_300, "t-1")
    assert office.read(access_token.sign(good, signer).reveal()) == good
    bad = dataclasses.replace(good, **claims)
    with pytest.raises(IdentityError):
        office.read(access_token.sign(bad, signer).reveal())


def test_neither_kind_of_token_passes_for_the_other(office: Office) -> None:
    svid = office.svid(AGENT, str(LLAMA))
    assert not access_token.is_one(svid)
    with pytest.raises(IdentityError, match="typ"):
        office.read(svid)
    answer = office.exchange(office.client(AGENT), office.svid(AGENT), **NAMED)
    assert access_token.is_one(answer["access_token"])
    office.refused("invalid_grant", office.client(AGENT), "remit_task_x", **NAMED)
    actor = {"actor_token": answer["access_token"], "actor_token_type": JWT}
    assert "typ" in office.refused("invalid_grant", office.client(AGENT), office.svid(AGENT), **NAMED, **actor)


def test_an_action_that_is_named_often_is_one(office: Office) -> None:
    answer = office.exchange(
        office.client(AGENT), office.svid(AGENT), resource=str(LLAMA), scope="infer " * 99 + "infer"
    )
    assert answer["scope"] == "infer"


def test_what_people_and_terminals_are_shown_is_one_line_of_text(office: Office) -> None:
    for text in (r"\ud800", r"\u001b[2J", r"a\nb", r"\u0000"):
        for member in (f'"purpose": "{text}"', f'"locations": ["{text}"]', f'"actions": ["{text}"]'):
            with pytest.raises(DelegationError) as raised:
                office.asked("remit_task_x", authorization_details='[{"type": "remit_task", ' + member + "}]")
            assert raised.value.code == "invalid_authorization_details"


def test_a_revocation_that_a_gateway_has_not_taken_up_is_not_told_as_done(office: Office) -> None:
    _, token = start(office)
    office.settled = False
    with pytest.raises(DelegationError) as raised:
        asyncio.run(office.endpoint.revoke(office.client(), token, None))
    assert raised.value.code == UNAVAILABLE
    assert office.world.realm.snapshot().tasks == ()


def test_a_form_says_each_thing_once() -> None:
    assert fields(b"resource=a&resource=b&x=") == {"resource": ["a", "b"]}
    for body in (b"a=1&a=2", b"a", b"\xff=1", b"&".join(b"a%d=1" % n for n in range(40))):
        with pytest.raises(DelegationError):
            fields(body)


def start(office: Office) -> tuple[str, str]:
    """A task of ada's own, and its token."""
    realm, ada = office.world.realm, office.ada
    task, token = office.world.run(
        lambda: realm.tasking.start(ada, LLAMA, ("infer", "embed"), purpose="sort", seconds=1_200.0, proof="terminal")
    )
    return task.id, token
