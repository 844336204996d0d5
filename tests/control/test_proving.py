"""A proof is for one process, one act and its arguments, once; whatever else is offered is refused, on record."""

import asyncio
import dataclasses
from typing import Any

import pytest

from remit.config import ProofSettings
from remit.control.proving import Proving
from remit.control.roles import Reach, Role
from remit.control.visitor import NotAdmittedError, Visitor
from remit.errors import ConfigError, NotFoundError
from remit.identity import Process
from remit.inventory import Human
from remit.persons import Act, Kind, Proof, ProofNeededError, ProofRefusedError, Shown
from remit.persons.pending import LIFE, MAX_OF_ONE_UID

WHAT = Shown.of(on="ollama", actions=["infer"])


class Door:
    """A door that asks for proof, with its own clock and record."""

    def __init__(
        self, *, system: bool = True, obtainable: tuple[Kind, ...] = (Kind.PASSWORD, Kind.PASSKEY), **settings: Any
    ) -> None:
        self.now = 100.0
        self.records: list[tuple[str, str, str | None, dict[str, Any]]] = []
        self.proving = Proving(
            ProofSettings(**settings),
            self._record,
            system=system,
            obtainable=lambda _uid: obtainable,
            clock=lambda: self.now,
        )

    async def _record(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        self.records.append((what, subject, person, facts))

    def ask(self, who: Visitor, act: Act = Act.TASK_START, shown: Shown = WHAT) -> Proof:
        return asyncio.run(self.proving.require(who, act, shown))

    def needed(self, who: Visitor, act: Act = Act.TASK_START, shown: Shown = WHAT) -> str:
        with pytest.raises(ProofNeededError) as missing:
            self.ask(who, act, shown)
        return missing.value.pending.id


def visitor(*, uid: int = 1000, pid: int = 77, start: int = 5, proof: str = "terminal") -> Visitor:
    process = Process(
        pid=pid,
        start=start,
        uid=uid,
        gid=uid,
        name="remit",
        exe="/usr/bin/python3",
        exe_sha256=None,
        exe_node=None,
        login_uid=None,
        terminal=None,
        foreground=False,
    )
    return Visitor(process, Human(f"u{uid}", f"p-{uid}", (uid,)), proof, reach=Reach(f"u{uid}", Role.PERSON, (uid,)))


def offering(who: Visitor, pending_id: str) -> Visitor:
    return dataclasses.replace(who, offered=pending_id)


def test_a_person_s_own_instance_takes_a_terminal_where_nothing_is_configured() -> None:
    assert Door(system=False, needs="").needed(visitor(proof="uid"))
    assert Door(system=False, needs="").ask(visitor(proof="terminal")).kind is Kind.TERMINAL


def test_a_proof_is_good_once_and_on_record_before_the_act() -> None:
    door, ada = Door(), visitor()
    waiting = door.needed(ada)
    door.proving.grant(waiting, Kind.PASSWORD, "e" * 64)
    assert door.ask(offering(ada, waiting)) == Proof(Kind.PASSWORD, "e" * 64)
    what, act, person, facts = door.records[0]
    assert (what, act, person, facts["kind"], facts["evidence"]) == (
        "person.proved",
        "task.start",
        "p-1000",
        "password",
        "e" * 64,
    )
    assert facts["arguments"] == WHAT.digest
    with pytest.raises(NotFoundError, match="took too long, or was done"):
        door.ask(offering(ada, waiting))
    assert door.records[-1][0] == "person.refused"


@pytest.mark.parametrize(
    "thief",
    [visitor(uid=1001), visitor(pid=78), visitor(start=6)],
    ids=["another user", "another process", "a later process of that number"],
)
def test_a_borrowed_proof_is_refused_and_stays_its_owner_s(thief: Visitor) -> None:
    door, ada = Door(), visitor()
    waiting = door.needed(ada)
    door.proving.grant(waiting, Kind.PASSWORD, "")
    with pytest.raises(ProofRefusedError, match="another process, act or arguments"):
        door.ask(offering(thief, waiting))
    assert [record[0] for record in door.records] == ["person.refused"]
    assert door.ask(offering(ada, waiting)).kind is Kind.PASSWORD


@pytest.mark.parametrize(
    ("act", "shown"),
    [(Act.STOP, WHAT), (Act.TASK_START, Shown.of(on="ollama", actions=["infer", "manage"]))],
    ids=["another act", "other arguments"],
)
def test_a_proof_for_one_thing_is_none_for_another(act: Act, shown: Shown) -> None:
    door, ada = Door(), visitor()
    waiting = door.needed(ada)
    door.proving.grant(waiting, Kind.PASSKEY, "")
    with pytest.raises(ProofRefusedError, match="another process, act or arguments"):
        door.ask(offering(ada, waiting), act, shown)


def test_two_at_once_with_one_proof_act_once() -> None:
    door, ada = Door(), visitor()
    waiting = door.needed(ada)
    door.proving.grant(waiting, Kind.PASSWORD, "")

    async def race() -> list[Any]:
        both = (door.proving.require(offering(ada, waiting), Act.TASK_START, WHAT) for _ in range(2))
        return await asyncio.gather(*both, return_exceptions=True)

    assert sorted(type(one).__name__ for one in asyncio.run(race())) == ["NotFoundError", "Proof"]


def test_what_nobody_proved_is_refused() -> None:
    door, ada = Door(), visitor()
    waiting = door.needed(ada)
    with pytest.raises(ProofRefusedError, match="nobody has proved"):
        door.ask(offering(ada, waiting))


def test_too_weak_or_given_twice_is_no_proof() -> None:
    door = Door()
    waiting = door.needed(visitor())
    with pytest.raises(ProofRefusedError, match="needs a password, not a terminal"):
        door.proving.grant(waiting, Kind.TERMINAL, "")
    door.proving.grant(waiting, Kind.PASSWORD, "")
    with pytest.raises(ProofRefusedError, match="already"):
        door.proving.grant(waiting, Kind.PASSKEY, "")


@pytest.mark.parametrize("step", [LIFE, -1.0], ids=["too late", "a clock set back"])
def test_a_proof_ends(step: float) -> None:
    door, ada = Door(), visitor()
    waiting = door.needed(ada)
    door.proving.grant(waiting, Kind.PASSWORD, "")
    door.now += step
    with pytest.raises(NotFoundError):
        door.ask(offering(ada, waiting))


def test_who_asks_without_end_pushes_out_only_their_own() -> None:
    door, ada, bob = Door(), visitor(), visitor(uid=1001)
    ada_s = door.needed(ada)
    bob_s = [door.needed(bob) for _ in range(MAX_OF_ONE_UID + 1)]
    door.proving.pending(ada_s)
    door.proving.pending(bob_s[1])
    with pytest.raises(NotFoundError):
        door.proving.pending(bob_s[0])


def test_what_a_person_refused_is_forgotten_and_on_record() -> None:
    door = Door()
    waiting = door.needed(visitor())
    asyncio.run(door.proving.refuse(waiting, "wrong password"))
    assert door.records == [
        (
            "person.refused",
            "task.start",
            None,
            {"why": "wrong password", "pid": 77, "uid": 1000, "arguments": WHAT.digest},
        )
    ]
    with pytest.raises(NotFoundError):
        door.proving.pending(waiting)


def test_what_narrows_needs_no_proof() -> None:
    assert Door().ask(visitor(proof="uid"), Act.WORKLOAD_SUSPEND).kind is Kind.UID


def test_what_runs_in_a_task_is_no_person_whatever_it_offers() -> None:
    door, ada = Door(), visitor()
    waiting = door.needed(ada)
    door.proving.grant(waiting, Kind.PASSKEY, "")
    launched = dataclasses.replace(ada.process, task="t-1")
    with pytest.raises(NotAdmittedError, match="runs in task"):
        door.ask(dataclasses.replace(offering(ada, waiting), process=launched))


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [({}, ["password", "passkey"]), ({"acts": {"stop": "passkey"}}, ["passkey"])],
)
def test_kinds_that_do_are_named_weakest_first(settings: Any, kinds: list[str]) -> None:
    with pytest.raises(ProofNeededError) as missing:
        Door(**settings).ask(visitor(), Act.STOP)
    assert missing.value.described()["kinds"] == kinds
    assert missing.value.described()["act"] == "stop"


def test_a_kind_that_nobody_obtains_is_not_offered() -> None:
    with pytest.raises(ProofNeededError, match="password, which nobody takes here yet") as missing:
        Door(obtainable=()).ask(visitor())
    assert missing.value.described()["kinds"] == []


def test_without_a_uid_of_its_own_remit_asks_for_no_password() -> None:
    with pytest.raises(ProofNeededError) as missing:
        Door(system=False, obtainable=(Kind.PASSKEY,), needs="terminal").ask(visitor(proof="uid"))
    assert missing.value.described()["kinds"] == ["terminal", "passkey"]
    assert "terminal" in missing.value.hint


def test_a_proof_that_would_have_done_does_not_where_more_is_needed_by_now() -> None:
    """To add a first passkey takes a password, the next one a passkey."""
    door, ada = Door(), visitor()
    waiting = door.needed(ada, Act.PASSKEY_ADD)
    door.proving.grant(waiting, Kind.PASSWORD, "e")
    with pytest.raises(ProofRefusedError, match="needs a passkey, not a password"):
        asyncio.run(door.proving.require(offering(ada, waiting), Act.PASSKEY_ADD, WHAT, needed=Kind.PASSKEY))
    assert door.records[-1][0] == "person.refused"


@pytest.mark.parametrize("act", ["task.end", "eat", "policy.change"])
def test_a_setting_for_no_act_that_needs_a_proof_is_an_error(act: str) -> None:
    with pytest.raises(ConfigError, match=rf"`proof.acts.{act}`"):
        Door(acts={act: "passkey"})
