"""The engine against the oracle, and what must hold for every set of policies."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.policy import Action, Engine, Intent, RefusedError, Snapshot
from remit.tasks import Task
from tests.oracle import decide as oracle
from tests.policy.generated import households, shown
from tests.policy.worlds import LLAMA, NOW, PROD, STARTER, curl, intent, snapshot, task

QUICK = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example]
)
SLOW = settings(QUICK, max_examples=20)
THOROUGH = settings(QUICK, max_examples=400)
BUILT_IN = "remit:"


def engines_answer(engine: Engine, asked: Intent, now: float = NOW) -> oracle.Answer:
    try:
        permit = engine.decide(asked, now, "d")
    except RefusedError as refusal:
        ids = frozenset(policy.id for policy in refusal.policies)
        if refusal.rule.startswith(BUILT_IN) or refusal.rule == "default-deny":
            return oracle.Answer(False, refusal.rule, ids)
        kind = "found" if "refuses" in str(refusal) else "forbid"
        return oracle.Answer(False, kind, ids)
    return oracle.Answer(True, "", frozenset(policy.id for policy in permit.policies))


def allows(snap: Snapshot, asked: Intent) -> bool:
    return engines_answer(Engine(snap), asked).allowed


@THOROUGH
@given(households())
def test_slices_and_caches_decide_as_plain_cedar_over_all_policies_does(case: tuple[Snapshot, Intent]) -> None:
    snap, asked = case
    wanted = oracle.decide(snap, asked, NOW)
    engine = Engine(snap)
    assert engines_answer(engine, asked) == wanted, shown(snap, asked)
    assert engines_answer(engine, asked) == wanted  # from the cache


@SLOW
@given(households(), households())
def test_a_reload_decides_as_a_fresh_engine_does(
    one: tuple[Snapshot, Intent], other: tuple[Snapshot, Intent]
) -> None:
    before = Engine(one[0])
    engines_answer(before, one[1])
    for asked in (one[1], other[1]):
        for snap in (
            one[0],
            other[0],
            dataclasses.replace(other[0], policy_files=one[0].policy_files, policy_set=one[0].policy_set),
        ):
            assert engines_answer(Engine(snap, after=before), asked) == engines_answer(Engine(snap), asked)


@QUICK
@given(households())
def test_one_forbid_over_everything_leaves_nothing_allowed(case: tuple[Snapshot, Intent]) -> None:
    snap, asked = case
    texts = [file.text for file in snap.policy_files]
    forbidden = snapshot(
        *texts, '@id("stop") forbid(principal, action, resource);', tasks=snap.tasks, workloads=snap.workloads
    )
    assert not allows(forbidden, asked)


@QUICK
@given(households())
def test_one_policy_that_fails_leaves_nothing_allowed(case: tuple[Snapshot, Intent]) -> None:
    snap, asked = case
    texts = [file.text for file in snap.policy_files]
    for effect in ("permit", "forbid"):
        failing = f'@id("fails") {effect}(principal, action, resource) when {{ 9223372036854775807 + 1 == 0 }};'
        assert not allows(snapshot(*texts, failing, tasks=snap.tasks, workloads=snap.workloads), asked)


@QUICK
@given(households())
def test_without_permits_nothing_is_allowed(case: tuple[Snapshot, Intent]) -> None:
    snap, asked = case
    texts = [file.text for file in snap.policy_files if "\nforbid" in file.text]
    assert not allows(
        snapshot(
            *texts,
            '@id("no") forbid(principal, action, resource) when { false };',
            tasks=snap.tasks,
            workloads=snap.workloads,
        ),
        asked,
    )


OVERFLOW = "9223372036854775807 + 1 == 0"
NOT_SO = 'resource.owner == Human::"nobody"'


@pytest.mark.parametrize(
    ("clauses", "fails"),
    [
        (f"when {{ {OVERFLOW} && {NOT_SO} }}", True),
        (f"when {{ {OVERFLOW} }} when {{ {NOT_SO} }}", True),
        (f"unless {{ {OVERFLOW} }} when {{ {NOT_SO} }}", True),
        (f"when {{ !context.stream && {OVERFLOW} && {NOT_SO} }}", True),
        (f"when {{ {NOT_SO} || {OVERFLOW} }}", True),
        (f"when {{ {NOT_SO} && {OVERFLOW} }}", False),
        (f"when {{ {NOT_SO} }} unless {{ {OVERFLOW} }}", False),
        (f"unless {{ {NOT_SO} }} when {{ {OVERFLOW} }}", True),
        (f'when {{ resource.owner != Human::"nobody" && {OVERFLOW} }}', True),
    ],
)
def test_a_policy_is_left_out_only_for_what_is_evaluated_before_it_can_fail(clauses: str, fails: bool) -> None:
    """Left out of the slice, a policy that fails would no longer refuse the request."""
    snap = snapshot(
        '@id("all") permit(principal, action, resource);',
        f'@id("other") permit(principal, action, resource) {clauses};',
    )
    wanted = oracle.decide(snap, intent(), NOW)
    assert (wanted.rule == "remit:policy-error") is fails
    assert engines_answer(Engine(snap), intent()) == wanted


@pytest.mark.parametrize("scope", ['resource == Workload::"{}"', 'resource in Workload::"{}"'])
@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_a_policy_for_one_resource_is_in_its_slice_and_in_no_other(scope: str, effect: str) -> None:
    mine = f'@id("mine") {effect}(principal, action, {scope.format(LLAMA)});'
    snap = snapshot('@id("all") permit(principal, action, resource);', mine)
    for resource in (LLAMA, PROD):
        asked = intent(resource=resource)
        assert engines_answer(Engine(snap), asked) == oracle.decide(snap, asked, NOW)


# --- a task only narrows ---


@QUICK
@given(households(tasked=False))
def test_where_no_policy_speaks_of_tasks_a_task_never_adds_anything(case: tuple[Snapshot, Intent]) -> None:
    snap, asked = case
    without = dataclasses.replace(asked, caller=dataclasses.replace(asked.caller, task=None))
    if allows(snap, asked):
        assert allows(snap, without)


@QUICK
@given(households())
def test_whatever_is_allowed_with_a_task_is_covered_by_it(case: tuple[Snapshot, Intent]) -> None:
    snap, asked = case
    if asked.caller.task is not None and allows(snap, asked):
        held = next(row for row in snap.tasks if row.id == asked.caller.task)
        assert held.covers(asked.action.value, asked.resource, NOW)
        assert held.human == asked.caller.human


def _narrower(held: Task) -> list[Task]:
    """The same task with less in it."""
    fewer = [dataclasses.replace(held, actions=held.actions[:count]) for count in range(len(held.actions))]
    return [*fewer, dataclasses.replace(held, ended=NOW - 1), dataclasses.replace(held, expires=NOW)]


@SLOW
@given(
    st.lists(st.sampled_from(list(Action)), max_size=4),
    st.sampled_from([LLAMA, PROD]),
    st.sampled_from(["ada", "bob"]),
    st.sampled_from(["ada", "bob"]),
    st.sampled_from(["unknown", "sha256:" + "00" * 32]),
)
def test_with_the_starter_policies_less_of_a_task_never_allows_more(
    actions: list[Action], on: object, whose: str, caller: str, digest: str
) -> None:
    held = task(*actions, human=whose, on=on)  # type: ignore[arg-type]
    for action in Action:
        for resource in (LLAMA, PROD):
            asked = intent(action, curl(caller, task="t1"), resource, digest=digest)
            wide = allows(snapshot(files=[STARTER], tasks=[held]), asked)
            for narrow in _narrower(held):
                assert wide or not allows(snapshot(files=[STARTER], tasks=[narrow]), asked)
            alone = dataclasses.replace(asked, caller=curl(caller))
            if wide and action not in {Action.ADMINISTER, Action.DISCLOSE}:
                assert allows(snapshot(files=[STARTER]), alone)
