"""What people ask of tasks at the desk: out of a profile or not, extended with a proof, and kept as they are."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.config import ProofSettings
from remit.control.endings import Deadlines
from remit.control.proving import Proving
from remit.control.realm import PoliciesInForce
from remit.control.roles import Reach, Role
from remit.control.task_desk import Beginning, TaskDesk
from remit.control.visitor import NotAdmittedError, Visitor
from remit.detect import Label
from remit.errors import AuditError, NotFoundError, RemitError, UsageError
from remit.identity import Process
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import Human, Kind
from remit.persons import ProofNeededError
from remit.policy import PolicyFile
from remit.policy.link import Reserve
from remit.tasks import Budget, Constraint, Narrowing, Spent, Task, WiderError
from remit.tasks.budget import UNLIMITED
from remit.tasks.profile import starters
from remit.tasks.tool_part import ToolPart
from tests.control.test_realm import LLAMA, World, a_server
from tests.control.test_spending import a_worker

PROFILES = tuple(PolicyFile(f"profiles/{name}", text) for name, text in starters().items())
BOT = replace(LLAMA, path="/agent/bot")
INFER = Narrowing(actions=("infer",))
MAIL = Beginning(on="llama-8080", part=Narrowing(), profile="mail-assistant")


class NoLaunches:
    """Nothing is watched: what a test launches ends with it."""

    async def watch(self, task: Task) -> None: ...


class Asked:
    """A desk over a realm, and people at it. `weak` needs no proof of them."""

    def __init__(self, world: World, *, needs: str = "uid") -> None:
        self.world = world
        self.ada, self.bob = world.meet("ada", os.getuid()), world.meet("bob", 1001)
        world.run(lambda: world.realm.lives.enrol(a_server()))
        world.realm.policies = PoliciesInForce((*world.realm.policies.files, *PROFILES), "sha256:00")
        self.proving = Proving(ProofSettings(needs=needs), self._record, system=False)
        launches: Any = NoLaunches()
        doors = {"llama-8080": {"url": "http://127.0.0.1:1"}}
        self.desk = TaskDesk(world.realm, launches, self._deliver, self.proving, self.desk_observes, doors)

    async def _record(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...

    @staticmethod
    def desk_observes(pid: int) -> Process:
        return observe(pid, digests=EXECUTABLES)

    async def _deliver(self, _snapshot: object) -> bool:
        return True

    def person(self, human: Human | None = None, role: Role = Role.PERSON, task: str | None = None) -> Visitor:
        human = human or self.ada
        process = replace(self.desk_observes(os.getpid()), task=task)
        return Visitor(process, human, "uid", reach=Reach(human.name, role, human.uids))

    def shown(self, asked: Beginning) -> tuple[str, ...]:
        """What the person is shown who is to prove that they want it."""
        with pytest.raises(ProofNeededError) as needed:
            self.start(asked)
        return self.proving.pending(needed.value.described()["id"]).asking.shown.lines()

    def start(self, asked: Beginning, who: Visitor | None = None) -> Task:
        row = asyncio.run(self.desk.start(who or self.person(), asked))
        return self.world.realm.tasks[row["task"]["id"]]

    def extend(
        self, task: Task, seconds: float | None, budget: Budget = UNLIMITED, who: Visitor | None = None
    ) -> Task:
        asyncio.run(self.desk.extend(who or self.person(), task.id, seconds, budget))
        return self.world.realm.tasks[task.id]


@pytest.fixture
def asked(tmp_path: Path) -> Any:
    world = World(tmp_path)
    yield Asked(world)
    world.store.close()


def refused(error: type[RemitError], asked: Asked, beginning: Beginning, who: Visitor | None = None) -> str:
    with pytest.raises(error) as raised:
        asked.start(beginning, who)
    assert asked.world.realm.tasks == {}
    return f"{raised.value} ({raised.value.hint})"


def test_a_task_of_a_profile_has_what_the_profile_says(asked: Asked) -> None:
    task = asked.start(MAIL)
    assert (task.profile, task.purpose, task.present) == ("mail-assistant", "sort mail and answer it", True)
    assert (task.ceiling, task.destinations, task.budget.calls) == (Label.CONFIDENTIAL, ("*.localhost",), 500)
    assert task.expires - task.started == 1800


def test_it_may_be_less_and_never_more(asked: Asked) -> None:
    part = Narrowing(("call_tool",), (ToolPart("mail/read*"),), Label.INTERNAL, (), Budget(calls=5), True)
    task = asked.start(replace(MAIL, part=part, seconds=60))
    assert ([one.tool for one in task.tools], task.budget, task.ceiling) == (
        ["mail/read*"], Budget(5, 2_000_000, 100_000_000), Label.INTERNAL,
    )  # fmt: skip
    for wider in (
        Narrowing(actions=("disclose",)), Narrowing(tools=(ToolPart("files/read"),)),
        Narrowing(destinations=("*",)), Narrowing(budget=Budget(calls=501)), Narrowing(ceiling=Label.RESTRICTED),
        Narrowing(present=False),
    ):  # fmt: skip
        with pytest.raises(WiderError, match="profile `mail-assistant`"):
            asked.start(replace(MAIL, part=wider))
    with pytest.raises(WiderError, match="lasts 2h at most"):
        asked.start(replace(MAIL, seconds=7_201))
    assert list(asked.world.realm.tasks) == [task.id]


def test_a_profile_that_is_not_there_is_named_with_those_that_are(asked: Asked) -> None:
    said = refused(NotFoundError, asked, replace(MAIL, profile="coden"))
    assert said == "there is no profile `coden` (profiles here: coding, mail-assistant, read-only-research)"
    assert "there is no profile `../coding`" in refused(NotFoundError, asked, replace(MAIL, profile="../coding"))
    assert "no action is named" in refused(UsageError, asked, Beginning(on="llama-8080", part=Narrowing()))


def test_what_is_started_is_what_the_person_was_shown(tmp_path: Path) -> None:
    world = World(tmp_path)
    desk = Asked(world, needs="terminal")
    shown = "\n".join(desk.shown(replace(MAIL, part=Narrowing(tools=(ToolPart("mail/send"),)))))
    for said in (
        "profile: mail-assistant",
        'tool 1: {"tool": "mail/send"',
        '"host_in"',
        "present: true",
        "ceiling: confid",
    ):
        assert said in shown, said
    plain = Beginning(on="llama-8080", part=INFER, seconds=60)
    assert [line.partition(":")[0] for line in desk.shown(plain)] == [
        "on", "actions", "purpose", "seconds", "human", "launched",
    ]  # fmt: skip
    bounded = replace(plain, part=replace(INFER, ceiling=Label.INTERNAL))
    assert "ceiling: internal" in desk.shown(bounded)
    assert world.realm.tasks == {}
    world.store.close()


def test_what_runs_in_a_task_starts_and_extends_none(asked: Asked) -> None:
    governed = asked.person(task="t-0")
    assert "in task `t-0`" in refused(NotAdmittedError, asked, MAIL, governed)
    task = asked.start(MAIL)
    with pytest.raises(NotAdmittedError, match="in task `t-0`"):
        asked.extend(task, 3_600, who=governed)
    assert asked.world.realm.tasks[task.id] == task


def test_an_agent_alone_uses_what_is_given_to_it(asked: Asked) -> None:
    bot = replace(a_server(), spiffe_id=BOT, name="bot", kind=Kind.AGENT, server="", upstream="")
    asked.world.run(lambda: asked.world.realm.lives.enrol(bot))
    task = asked.start(replace(MAIL, agent="bot"))
    assert task.chain == (BOT,)
    assert (task.held_by(BOT), task.held_by(LLAMA)) == (True, False)
    with pytest.raises(UsageError, match="doesn't act for bob"):
        asked.start(replace(MAIL, agent="bot", human="bob"))
    with pytest.raises(NotFoundError):
        asked.start(replace(MAIL, agent="nobody"))


def test_a_process_with_which_it_ends_is_the_person_s_own(asked: Asked) -> None:
    task = asked.start(replace(MAIL, pid=os.getpid()))
    assert task.launched is not None
    assert task.launched[0] == os.getpid()
    with pytest.raises(NotAdmittedError, match="is not bob's"):
        asked.start(replace(MAIL, pid=os.getpid(), human="bob"))
    with pytest.raises(UsageError, match="can't be looked at"):
        asked.start(replace(MAIL, pid=4_194_303))


def test_it_is_extended_by_its_owner_within_its_profile_and_on_record_first(asked: Asked) -> None:
    world = asked.world
    task = asked.start(replace(MAIL, part=Narrowing(budget=Budget(calls=5)), seconds=600))
    world.now += 300
    more = asked.extend(task, 3_600, Budget(calls=400))
    assert (more.expires, more.budget.calls) == (world.now + 3_600, 400)
    [what, subject, person, facts] = world.acts[-1]
    assert (what, subject, person) == ("task.extended", task.id, asked.ada.person)
    assert (facts["was"], facts["expires"], facts["proof"]) == (task.expires, more.expires, "uid")
    for seconds, budget in ((7_000, Budget()), (None, Budget(calls=501)), (3_600, Budget()), (None, Budget())):
        with pytest.raises(RemitError):
            asked.extend(more, seconds, budget)
    with pytest.raises(NotAdmittedError):
        asked.extend(more, 4_000, who=asked.person(asked.bob))
    with pytest.raises(UsageError, match="not a workload that bob owns"):
        asked.extend(more, 4_000, who=asked.person(asked.bob, Role.ADMINISTRATOR))
    world.log_fails = True
    with pytest.raises(AuditError):
        asked.extend(more, 4_000)
    assert world.realm.tasks[task.id] == more


def test_an_extension_takes_a_proof_of_just_that(tmp_path: Path) -> None:
    world = World(tmp_path)
    asked = Asked(world)
    task = asked.start(MAIL)
    asked.proving = asked.desk._proving = Proving(ProofSettings(needs="terminal"), asked._record, system=False)
    with pytest.raises(ProofNeededError) as needed:
        asked.extend(task, 3_600, Budget(calls=500))
    pending = asked.proving.pending(needed.value.described()["id"])
    assert pending.asking.shown.lines() == (
        f"task: {task.id}", f"on: {LLAMA}", "seconds: 3600", 'budget: {"calls": 500}',
    )  # fmt: skip
    assert world.realm.tasks[task.id] == task
    world.store.close()


def test_what_is_extended_goes_on_and_what_has_ended_does_not(asked: Asked) -> None:
    world = asked.world
    world.realm.deadlines = Deadlines(lambda: world.now, lambda: world.now)
    task = asked.start(replace(MAIL, seconds=600))
    assert not world.run(world.realm.tasking.end_those_over)
    world.now += 500
    asked.extend(task, 600)
    world.now += 500
    assert not world.run(world.realm.tasking.end_those_over)
    world.now += 101
    assert world.run(world.realm.tasking.end_those_over)
    with pytest.raises(NotFoundError, match="is running"):
        asked.extend(task, 600)


def test_workers_get_what_it_may_spend_in_all_and_no_more(asked: Asked) -> None:
    task = asked.start(replace(MAIL, part=Narrowing(budget=Budget(calls=2))))

    async def go() -> list[int]:
        spending, worker = asked.world.realm.spending, a_worker(1)

        async def reserve(calls: int) -> int:
            answer = await spending.reserve(worker, Reserve(1, task.id, Spent(calls=calls).to_dict()))
            return int(answer["amount"]["calls"])

        given = [await reserve(2), await reserve(1)]
        await asked.desk.extend(asked.person(), task.id, None, Budget(calls=5))
        return [*given, await reserve(5), await reserve(1)]

    assert asyncio.run(go()) == [2, 0, 3, 0]
    assert asked.desk.show(asked.person(), task.id)["left_of_budget"]["calls"] == 0


def test_what_is_counted_while_it_is_extended_stays_counted(asked: Asked) -> None:
    realm = asked.world.realm
    task = asked.start(MAIL)

    async def spends_meanwhile() -> None:
        extending = asyncio.create_task(asked.desk.extend(asked.person(), task.id, 3_600, Budget()))
        while not asked.world.acts or asked.world.acts[-1][0] != "task.extended":
            now = realm.tasks[task.id]
            realm.keep_task(replace(now, spent=Spent(calls=now.spent.calls + 1), high=Label.CONFIDENTIAL))
            counted = realm.tasks[task.id].spent
            await asyncio.sleep(0)
        await extending
        assert realm.tasks[task.id].spent == counted

    asyncio.run(spends_meanwhile())
    assert realm.tasks[task.id].high is Label.CONFIDENTIAL
    assert realm.tasks[task.id].expires > task.expires


def test_every_field_is_kept_through_a_restart(asked: Asked) -> None:
    sends = ToolPart("mail/send", (("to", Constraint(equals="a@b.localhost")),))
    task = asked.start(replace(MAIL, part=Narrowing(tools=(sends, ToolPart("mail/draft")), budget=Budget(calls=7))))
    task = asked.extend(task, 3_600, Budget(calls=8))
    assert asked.world.restart().tasks[task.id] == task


def test_it_is_shown_to_whom_it_concerns_also_when_it_has_ended(asked: Asked) -> None:
    task = asked.start(replace(MAIL, human="bob"))
    shown = asked.desk.show(asked.person(), task.id)
    assert (shown["running"], shown["human"], shown["on_name"], shown["parts"]) == (True, "bob", "llama-8080", [])
    assert shown["left_of_budget"]["calls"] == 500
    assert task.token_sha256 not in str(shown)
    assert asked.desk.show(asked.person(asked.bob), task.id)["id"] == task.id
    eve = asked.world.meet("eve", 1002)
    with pytest.raises(NotAdmittedError):
        asked.desk.show(asked.person(eve), task.id)
    assert asked.desk.running(asked.person(eve).reach) == []
    asyncio.run(asked.desk.end(asked.person(asked.bob), task.id, "done"))
    assert asked.desk.show(asked.person(), task.id)["running"] is False
    with pytest.raises(NotFoundError):
        asked.desk.show(asked.person(), "t-0")
