"""Who may say yes: a person with a proof of exactly what was shown, who is not who asked, by any name or hand."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.cli.approvals_screen import shown as on_screen
from remit.control.approval_desk import ApprovalDesk
from remit.control.roles import NotAdmittedError, Reach, Role
from remit.control.visitor import Visitor
from remit.errors import AttestationError, UsageError
from remit.identity import Process, SpiffeId
from remit.identity.process import Ancestor
from remit.inventory import Human, Kind, Workload
from remit.persons import Kind as ProofKind
from remit.persons import ProofNeededError, ProofRefusedError
from remit.tasks.approval_request import ApprovalError, Extent
from tests.control.approval_world import MATTER, Asking, run
from tests.control.test_proving import Door, offering, visitor
from tests.control.test_realm import a_server

REASON = "the invoice is due today"


class Desked(Asking):
    """A desk over them. `shells` are the processes that commands run beneath, by number."""

    def __init__(self, directory: Path, *, alone: bool = True, **settings: Any) -> None:
        super().__init__(directory, **settings)
        self.door = Door(needs="terminal")
        self.shells: dict[int, Process] = {}
        self.desk = ApprovalDesk(
            self.realm, self.approvals, self.door.proving, self.settings, self._observe, lambda: alone
        )

    def _observe(self, pid: int) -> Process:
        if pid not in self.shells:
            raise AttestationError("gone")
        return self.shells[pid]

    async def say(self, who: Visitor, request_id: str, **more: Any) -> dict[str, Any]:
        """Yes to what it is now, unless `digest` says otherwise."""
        shown = self.desk.shown(who, request_id)
        said = {"extent": Extent.ONCE, "digest": shown["digest"], "calls": 1, "why": "", **more}
        return await self.desk.approve(who, request_id, **said)


def person(name: str, *uids: int, role: Role = Role.PERSON, **process: Any) -> Visitor:
    who = visitor(uid=uids[0])
    return dataclasses.replace(
        who,
        process=dataclasses.replace(who.process, **process),
        human=Human(name, f"p-{name}", uids),
        reach=Reach(name, role, uids),
    )


ADA = person("ada", 1000)
ADMIN = person("bob", 1001, role=Role.ADMINISTRATOR)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Desked]:
    world = Desked(tmp_path, single_operator=False)
    yield world
    world.store.close()


def test_another_person_who_approves_says_yes(world: Desked) -> None:
    async def body() -> None:
        first = await world.asked()
        answer = await world.say(ADMIN, first)
        assert (answer["state"], answer["by"], answer["proof"]) == ("approved", "bob", "terminal")
        assert (await world.ask())["approval"]["self_confirmed"] is False

    world.bob = world.realm.humans["bob"] = dataclasses.replace(world.bob, person="p-bob")
    run(body)


def test_who_asked_for_the_same_later_does_not_answer_it(world: Desked) -> None:
    async def body() -> None:
        first = await world.asked()
        assert await world.asked(uids=[1000, 1001]) == first, "by another login, through the same account"
        with pytest.raises(ApprovalError, match="asked for it"):
            await world.say(ADMIN, first)

    run(body)


BENEATH = {"parents": (Ancestor(9, "sudo"), Ancestor(8, "bash"))}


@pytest.mark.parametrize(
    "who",
    [
        person("ada", 1000, role=Role.ADMINISTRATOR),
        person("ada-admin", 1000, role=Role.ADMINISTRATOR),
        person("toor", 0, role=Role.ADMINISTRATOR, login_uid=1000),
        person("toor", 0, role=Role.ADMINISTRATOR, **BENEATH),
        person("ada2", 1010, 1000, role=Role.ADMINISTRATOR),
    ],
    ids=["who asked", "a second name of the uid", "by login", "by sudo", "an account that has theirs"],
)
def test_who_asked_is_refused_whatever_their_name_or_hands(world: Desked, who: Visitor) -> None:
    async def body() -> None:
        shell = dataclasses.replace(ADA.process, pid=8, uid=1000)
        world.shells = {8: shell, 9: dataclasses.replace(shell, pid=9, uid=0)}
        first = await world.asked()
        with pytest.raises(ApprovalError, match="asked for it"):
            await world.say(who, first, why=REASON)
        assert "pending" in await world.ask()

    run(body)


def an_agent(owner: str) -> Workload:
    spiffe_id = SpiffeId.parse("spiffe://maple.local/agent/bot")
    return dataclasses.replace(a_server(owner), spiffe_id=spiffe_id, name="bot", kind=Kind.AGENT, models=())


@pytest.mark.parametrize(
    "changed",
    [
        {"workload": "spiffe://maple.local/agent/bot"},
        {"chain": ["spiffe://maple.local/agent/bot", "spiffe://maple.local/user/ada"]},
        {"chain": ["spiffe://maple.local/user/bob"]},
        {"human": "bob"},
        {"uids": [1001]},
        {"task": "t-1", "human": "ada"},
    ],
    ids=[
        "their agent",
        "their agent handed it on",
        "they handed it on",
        "it is for them",
        "their process",
        "a part of their task",
    ],
)
def test_nor_does_anybody_behind_the_call(world: Desked, changed: dict[str, Any]) -> None:
    async def body() -> None:
        await world.realm.lives.enrol(an_agent("bob"))
        theirs = dataclasses.replace(world.task(), id="t-0", human="bob")
        world.realm.keep_task(theirs)
        world.realm.keep_task(dataclasses.replace(theirs, id="t-1", human="ada", parent="t-0"))
        first = await world.asked(**changed)
        with pytest.raises(ApprovalError, match="asked for it"):
            await world.say(ADMIN, first)

    run(body)


def test_neither_a_stranger_nor_an_auditor_nor_the_owner_where_it_takes_an_approver(world: Desked) -> None:
    async def body() -> None:
        first = await world.asked(human="bob", workload="spiffe://maple.local/user/bob", uids=[1001])
        stranger, auditor = person("eve", 1002), person("eve", 1002, role=Role.AUDITOR)
        with pytest.raises(NotAdmittedError):
            world.desk.shown(stranger, first)
        with pytest.raises(ApprovalError, match="you are not"):
            await world.say(auditor, first)
        strict = await world.asked(
            binding="00" * 32, human="bob", workload="spiffe://maple.local/user/bob", uids=[1001], needed="approver"
        )
        with pytest.raises(ApprovalError, match="takes an approver"):
            await world.say(ADA, strict)
        assert (await world.say(ADA, first))["state"] == "approved", "the owner of what another asks for"

    run(body)


def test_a_yes_is_to_what_was_shown_and_its_proof_to_exactly_that(world: Desked) -> None:
    async def body() -> None:
        weak = dataclasses.replace(ADMIN, proof="uid")
        first, second = await world.asked(), await world.asked(binding="00" * 32, arguments='{"to": "eve"}')
        with pytest.raises(ApprovalError, match="not what was shown"):
            await world.say(weak, second, digest=world.desk.shown(weak, first)["digest"])
        with pytest.raises(ProofNeededError) as needed:
            await world.say(weak, second)
        shown = dict(needed.value.pending.asking.shown.values)
        assert (shown["arguments"], shown["kind"], shown["extent"]) == ('{"to": "eve"}', "approved", "once")
        world.door.proving.grant(needed.value.pending.id, ProofKind.PASSWORD, "e")
        with pytest.raises(ProofRefusedError):
            await world.say(offering(weak, needed.value.pending.id), first)
        with pytest.raises(ProofRefusedError):
            await world.say(offering(weak, needed.value.pending.id), second, extent=Extent.WAITING)
        assert "pending" in await world.ask()

    run(body)


def test_long_arguments_are_asked_about_by_their_digest(world: Desked) -> None:
    async def body() -> None:
        weak = dataclasses.replace(ADMIN, proof="uid")
        digests = set()
        for text in ("x" * 200_000, "y" * 200_000):
            first = await world.asked(arguments=text)
            with pytest.raises(ProofNeededError) as needed:
                await world.say(weak, first)
            asking = needed.value.pending.asking
            assert len("".join(asking.shown.lines())) < 8_000
            digests.add(asking.shown.digest)
            await world.desk.deny(ADA, first, "")
            world.later(901)
        assert len(digests) == 2

    run(body)


def test_what_runs_under_a_governed_workload_neither_sees_nor_answers(world: Desked) -> None:
    async def body() -> None:
        first = await world.asked()
        for who in (
            dataclasses.replace(ADMIN, governor=a_server()),
            dataclasses.replace(ADMIN, process=dataclasses.replace(ADMIN.process, task="t-9")),
        ):
            with pytest.raises(NotAdmittedError):
                world.desk.listed(who)
            with pytest.raises(NotAdmittedError):
                world.desk.shown(who, first)
            with pytest.raises(NotAdmittedError):
                await world.desk.approve(who, first, extent=Extent.ONCE, digest="", calls=1, why="")
            with pytest.raises(NotAdmittedError):
                await world.desk.deny(who, first, "")

    run(body)


def test_alone_the_owner_confirms_it_and_that_is_never_called_approved(tmp_path: Path) -> None:
    world = Desked(tmp_path, single_operator=True, confirm_seconds=10.0)

    async def body() -> None:
        first = await world.asked()
        with pytest.raises(ApprovalError, match="takes a pause, 10 s more"):
            await world.say(ADA, first, why=REASON)
        world.later(10)
        with pytest.raises(UsageError, match="too short"):
            await world.say(ADA, first)
        answer = await world.say(ADA, first, why=REASON)
        assert (answer["state"], answer["why"]) == ("self-confirmed", REASON)
        assert (await world.ask())["approval"]["self_confirmed"] is True
        assert world.desk.shown(ADA, first)["state"] == "self-confirmed"
        assert "approval.self-confirmed" in world.recorded()
        assert not any("approved" in str(act) for act in world.acts)
        strict = await world.asked(binding="00" * 32, needed="approver")
        world.later(60)
        with pytest.raises(ApprovalError):
            await world.say(person("ada", 1000, role=Role.ADMINISTRATOR), strict, why=REASON)

    world.realm.humans["ada"] = dataclasses.replace(world.ada, person="p-ada")
    run(body)
    world.store.close()


def test_where_others_could_answer_nobody_confirms_their_own(tmp_path: Path) -> None:
    world = Desked(tmp_path, alone=False, single_operator=True, confirm_seconds=1.0)

    async def body() -> None:
        first = await world.asked()
        world.later(60)
        with pytest.raises(ApprovalError, match="others have accounts here"):
            await world.say(ADA, first, why=REASON)

    run(body)
    world.store.close()


def test_what_a_person_said_stays_theirs_whatever_became_of_it(world: Desked) -> None:
    async def body() -> None:
        first = await world.asked()
        await world.say(ADMIN, first, why="it is theirs")
        answered = "  answered     approved by p-bob (once): it is theirs"
        assert answered in list(on_screen(world.desk.shown(ADMIN, first)))
        world.later(3600)
        await world.approvals.look()
        told = list(on_screen(world.desk.shown(ADMIN, first)))
        assert told[-2:] == [answered, "  expired      nobody came for the answer in time"]

    run(body)


def test_who_asked_may_take_it_back_and_an_approver_may_refuse_it(world: Desked) -> None:
    async def body() -> None:
        first, second = await world.asked(), await world.asked(binding="00" * 32)
        assert (await world.desk.deny(ADA, first, ""))["state"] == "denied"
        assert (await world.desk.deny(ADMIN, second, "no"))["state"] == "denied"

    run(body)


def test_what_is_shown_says_what_follows(world: Desked) -> None:
    async def body() -> None:
        thing = {"id": "mail/send", "kind": "Tool", "owner": "ada", "label": "internal", "environment": "prod"}
        place = {"id": "example.com", "kind": "Destination", "known": True, "internal": False, "clearance": 1}
        first = await world.asked(
            thing={**thing, "side_effects": True, "known": True},
            destination=place,
            provenance={"recipient": [], "untrusted": ["recipient"], "human": ["text"]},
            flow={"high": 2, "untrusted": True, "did": []},
            outside=True,
        )
        shown = world.desk.shown(ADMIN, first)
        assert shown["provenance"] == ["recipient: from content from outside", "text: from a person's own words"]
        told = " | ".join(shown["blast"])
        for said in ("changes something outside", "`prod`", "`example.com`, outside", "does not list", "rank 2"):
            assert said in told, (said, told)
        assert shown["matter"]["arguments"] == MATTER.arguments
        assert (shown["left"], shown["thing"]) == (900.0, "mail/send")

    run(body)


def test_the_list_is_of_what_is_theirs_to_see(world: Desked) -> None:
    async def body() -> None:
        first = await world.asked()
        assert [one["id"] for one in world.desk.listed(ADA)] == [first]
        assert [one["id"] for one in world.desk.listed(ADMIN)] == [first]
        assert world.desk.listed(person("eve", 1002)) == []
        assert [world.desk.waiting(one.reach) for one in (ADA, ADMIN, person("eve", 1002))] == [1, 1, 0]

    run(body)
