"""What was handed on, at the decision: in the last hand only, and a workload's own task adds nothing."""

import dataclasses

import pytest

from remit.identity import SpiffeId
from remit.policy import Engine, RefusedError, Snapshot
from remit.tasks import Task
from remit.tasks.task import WORKLOAD
from tests.policy.worlds import BOT, LLAMA, NOW, bot, intent, sid, snapshot, task

LEND = '@id("lend") permit (principal, action, resource) when { context has task };'
USE = '@id("use") permit (principal, action, resource);'


def held(proof: str = "terminal", *chain: SpiffeId, actions: tuple[str, ...] = ("infer",)) -> Task:
    return dataclasses.replace(task(*actions, human="bob"), proof=proof, chain=chain)


def decided(snap: Snapshot) -> str:
    try:
        Engine(snap).decide(intent(caller=bot(task="t1")), NOW, "d")
    except RefusedError as error:
        return error.rule
    return "allowed"


@pytest.mark.parametrize(
    ("policy", "of", "rule"),
    [
        (LEND, held("terminal", BOT), "allowed"),
        (LEND, held("terminal"), "allowed"),
        (USE, held("terminal", BOT, sid("agent", "another")), "remit:outside-task"),
        (LEND, held(WORKLOAD, BOT), "default-deny"),
        (USE, held(WORKLOAD, BOT), "allowed"),
        (USE, held(WORKLOAD, BOT, actions=("embed",)), "remit:outside-task"),
    ],
)
def test_a_task_counts_in_the_last_hand_and_only_a_person_s_is_one_to_policies(
    policy: str, of: Task, rule: str
) -> None:
    assert decided(snapshot(policy, tasks=[of])) == rule


def test_it_reaches_the_gateway_whole() -> None:
    snap = dataclasses.replace(snapshot(USE, tasks=[held("terminal", BOT)]), issuer="http://127.0.0.1:7399")
    assert Snapshot.from_dict(snap.to_dict()) == snap
    assert snap.tasks[0].involves(BOT)
    assert snap.tasks[0].involves(LLAMA)
