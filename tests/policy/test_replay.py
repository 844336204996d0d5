"""Recorded decisions under other policies, and the least that would have let them through."""

import dataclasses
import itertools
import re
from typing import Any

import pytest

from remit.audit import Start
from remit.detect import Label
from remit.identity import Caller
from remit.policy import Action, Engine, Intent, PolicyFile, RefusedError, load
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts, Moment
from remit.policy.in_force import InForce
from remit.policy.kept import kept
from remit.policy.learn import learn
from remit.policy.outcome import Answer, Outcome
from remit.policy.permit import APPROVAL_NEEDED
from remit.policy.recorded import DECLARED
from remit.policy.replay import Replay, _key, _read_by
from remit.policy.thing import ThingKind
from tests.policy.test_things import CATALOGUE, SENDS
from tests.policy.worlds import LLAMA, NOW, PROD, STARTER, TD, bot, curl, intent, sid, snapshot, task

NAMES = {"p-ada": "ada", "p-bob": "bob", "p-2": "bob"}
ALL = '@id("all")\npermit (principal, action, resource is Workload);'
NO_BOB = '@id("no-bob")\nforbid (principal, action, resource) when { context.human == Human::"bob" };'
KNOWN_HOLDERS = '@id("holders")\npermit (principal, action == Action::"infer", resource) when { context.exhaustive };'
HERE = '@id("here")\npermit (principal, action, resource) when { context.presence == "here" };'
IN_TASK = (
    '@id("task")\npermit (principal, action, resource) when { context has task && context.task.tools.contains("x") };'
)
LIST_TOO = IN_TASK.replace("tools", "actions").replace('"x"', '"list"')
ASKS = '@id("asks")\n@approval("owner")\npermit (principal, action, resource is Workload);'
REFUSES = '@id("strict")\n@on_restricted("refuse")\npermit (principal, action, resource is Workload);'
AT_NIGHT = {"time": {"hour": 23, "weekday": 1}}
CATALOGUED = PolicyFile("catalogue.toml", CATALOGUE)


def decided(engine: Engine, asked: Intent, number: int = 0) -> dict[str, Any]:
    """The record of this decision, as a gateway writes it."""
    caller = asked.caller
    try:
        permit = engine.decide(asked, NOW, f"d{number}")
        outcome, policies, rule = "allowed", permit.policies, permit.policies[0].id
    except RefusedError as refusal:
        outcome, policies, rule = "refused", refusal.policies, refusal.rule
    workload = str(caller.spiffe_id) if caller.enrolled else None
    found = {name: label.value for name, label in asked.found}
    return Start(
        f"d{number}", outcome, caller.person, workload, caller.proof.value, None, caller.task, asked.action.value,
        str(asked.resource), asked.route, asked.dialect, asked.model, asked.model_digest, policies, rule, "", "",
        found, "", 1, "C", "", NOW + number, 0.0, facts=kept(asked),
    ).to_dict()  # fmt: skip


def replay(*texts: str, catalogue: bool = False) -> Replay:
    files = [PolicyFile(f"p{at}.cedar", text) for at, text in enumerate(texts)]
    return Replay(InForce(snapshot(files=[CATALOGUED, *files] if catalogue else files)), NAMES)


def old(record: dict[str, Any]) -> dict[str, Any]:
    """As a record was before facts were kept."""
    return {key: value for key, value in record.items() if key != "facts"}


def many() -> list[Intent]:
    callers: list[Caller] = [curl("ada"), curl("bob"), bot(), curl("ada", exhaustive=False), curl("ada", task="t1")]
    found: list[tuple[tuple[str, Label], ...]] = [(), (("pat", Label.RESTRICTED),)]
    every = itertools.product(callers, (Action.INFER, Action.LIST), (LLAMA, PROD), ("sha256:ab", "unknown"), found)
    return [intent(action, who, on, digest=digest, found=some) for who, action, on, digest, some in every]


@pytest.mark.parametrize("texts", [(STARTER.text,), (ALL, NO_BOB), (KNOWN_HOLDERS,), (ASKS,), (REFUSES,), (HERE,)])
def test_decided_again_by_the_same_policies_nothing_changes(texts: tuple[str, ...]) -> None:
    files = [PolicyFile(f"p{at}.cedar", text) for at, text in enumerate(texts)]
    engine = Engine(snapshot(files=files, tasks=[task("infer")]))
    records = [decided(engine, asked, number) for number, asked in enumerate(many())]
    told = replay(*texts).all(records)
    assert (told.changed, dict(told.unknown), told.decisions) == ({}, {}, len(records))
    assert told.same > 50


def test_what_changes_is_told_by_kind_with_its_first_examples() -> None:
    records = [decided(Engine(snapshot(ALL)), intent(Action.INFER, bot()), number) for number in range(5)]
    records += [decided(Engine(snapshot(ALL)), intent(Action.INFER, curl("ada")), 9)]
    told = replay(ALL, NO_BOB).all(records)
    ((key, changed),) = told.changed.items()
    assert key == ("allowed", "refused", "no-bob", "infer")
    assert (changed.count, changed.first, told.same) == (5, ["d0", "d1", "d2"], 1)
    assert not told.grows
    assert {one.now for one in replay(ASKS).all(records).changed.values()} == {"needs approval"}
    refused = [decided(Engine(snapshot(ALL, NO_BOB)), intent(Action.INFER, bot()))]
    assert replay(ALL).all(refused).grows


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (ALL, Outcome.ALLOWED),
        (KNOWN_HOLDERS, Outcome.UNKNOWN),
        (ALL + KNOWN_HOLDERS, Outcome.ALLOWED),
        (ALL + KNOWN_HOLDERS.replace("permit", '@approval("owner")\npermit'), Outcome.UNKNOWN),
        (HERE + '@id("never")\nforbid (principal, action, resource);', Outcome.REFUSED),
        (HERE.replace("when {", 'when { context.grade == "A" &&'), Outcome.REFUSED),
        (HERE, Outcome.UNKNOWN),
        (HERE.replace("context.presence", 'context["presen\\u{63}e"]'), Outcome.UNKNOWN),
        ('@id("m")\npermit (principal, action, resource) when { context.model.approved };', Outcome.UNKNOWN),
        ('@id("f")\npermit (principal, action, resource) when { context.time.hour + 9223372036854775807 > 0 };' + ALL,
         Outcome.UNKNOWN),
    ],
)  # fmt: skip
def test_an_outcome_that_hangs_on_what_was_not_kept_is_unknown(policies: str, expected: Outcome) -> None:
    record = old(decided(Engine(snapshot(ALL)), intent(Action.INFER, curl("ada"))))
    answer = replay(policies).again(record)
    assert answer.outcome is expected, answer


def test_what_a_policy_asks_for_tells_decisions_apart() -> None:
    plain = decided(Engine(snapshot(ALL)), intent(Action.INFER, curl("ada")))
    for asks, other in (
        ('context.asked == "POST /v1/chat/completions"', {"route": "GET /x"}),
        ('context.model.name == "smol"', {"model": "other"}),
        (f'context.model.digest == "{plain["model_digest"]}"', {"model_digest": "sha256:00"}),
        ("context.exhaustive", {"facts": {**plain["facts"], "exhaustive": False}}),
        ("context.time.hour < 12", {"facts": {**plain["facts"], **AT_NIGHT}}),
        (
            "(if principal.enrolled then context else context).time.hour < 12",
            {"facts": {**plain["facts"], **AT_NIGHT}},
        ),
        ("context.model.known", {"model_digest": "unknown"}),
    ):
        again = replay(HERE.replace('context.presence == "here"', asks))
        assert again.again(plain).outcome is Outcome.ALLOWED
        assert again.again({**plain, **other}).outcome is Outcome.REFUSED
        assert again.again({**plain, **other, "grade": "A"}).outcome is Outcome.REFUSED


def test_where_a_policy_takes_the_context_as_a_whole_all_of_it_tells_decisions_apart() -> None:
    plain = decided(Engine(snapshot(ALL)), intent(Action.INFER, curl("ada")))
    for asks, differ in (("[context].contains(context)", True), ("principal.enrolled", False)):
        read = _read_by(load([PolicyFile("p.cedar", HERE.replace('context.presence == "here"', asks))]).policies)
        other = {**plain, "facts": {**plain["facts"], **AT_NIGHT}}
        assert (_key(plain, read) != _key(other, read)) is differ


def test_what_no_record_tells_of_tasks_is_unknown_only_where_it_decides() -> None:
    engine = Engine(snapshot(STARTER.text, tasks=[task("administer")]))
    record = decided(engine, intent(Action.ADMINISTER, curl(task="t1")))
    assert record["outcome"] == "allowed"
    assert replay(STARTER.text).again(record).outcome is Outcome.ALLOWED
    assert replay(IN_TASK).again(record).outcome is Outcome.UNKNOWN
    assert replay(LIST_TOO).again(record).outcome is Outcome.UNKNOWN
    assert (
        replay(LIST_TOO.replace('contains("list")', 'containsAll(["administer"])')).again(record).outcome
        is Outcome.UNKNOWN
    )
    assert (
        replay(LIST_TOO.replace('.contains("list")', ' == ["administer"]')).again(record).outcome is Outcome.UNKNOWN
    )
    both = LIST_TOO.replace(" };", ' && context.task.actions.contains("administer") };')
    assert replay(both).again(record).outcome is Outcome.UNKNOWN
    assert replay(IN_TASK).again({**record, "task": None}).outcome is Outcome.REFUSED


def test_what_a_record_keeps_of_its_task_is_what_policies_read_of_it() -> None:
    held = dataclasses.replace(task("infer"), profile="coding", ceiling=Label.CONFIDENTIAL)
    asked = intent(Action.INFER, curl(task="t1"))
    record = decided(Engine(snapshot(ALL, tasks=[held])), asked)
    record["facts"] = kept(asked, held)
    for asks, outcome in (
        ('context.task.profile == "coding" && context.task.ceiling == 2 && context.task.fits', Outcome.ALLOWED),
        ('context.task.actions == ["infer"] && !context.task.tools.contains("x")', Outcome.ALLOWED),
        ('context.task.tools.contains("x")', Outcome.REFUSED),
        ('context.task.profile == "other"', Outcome.REFUSED),
    ):
        answer = replay(HERE.replace('context.presence == "here"', f"context has task && {asks}")).again(record)
        assert answer.outcome is outcome, asks


def test_a_workloads_own_task_is_none_to_policies() -> None:
    own = dataclasses.replace(task("infer"), proof="workload", chain=(bot().spiffe_id,))
    asked = intent(Action.INFER, dataclasses.replace(bot(), task="t1", chain=(bot().spiffe_id,)))
    record = decided(Engine(snapshot(ALL, tasks=[own])), asked)
    in_tasks = HERE.replace('context.presence == "here"', "context has task")
    assert replay(in_tasks).again({**record, "facts": kept(asked, own)}).outcome is Outcome.REFUSED
    before = {**record, "facts": kept(asked), "chain": [str(bot().spiffe_id)]}
    assert replay(in_tasks).again(before) == Answer(Outcome.UNKNOWN, DECLARED)
    assert replay(ALL).again(before).outcome is Outcome.ALLOWED


def test_calls_of_tools_are_decided_again_by_what_was_kept_of_them() -> None:
    engine = Engine(snapshot(files=[CATALOGUED, PolicyFile("p.cedar", SENDS)]))
    thing = engine.thing(ThingKind.TOOL, "mail/send")
    for untrusted, high in itertools.product(((), ("recipient",)), (0, 3)):
        so = Circumstances(
            Moment(3, 2), "here", ("sealed",), args=Arguments(("recipient",), untrusted=untrusted),
            flow=FlowFacts(high, True, ("infer",)), destination="maple.local",
        )  # fmt: skip
        asked = dataclasses.replace(intent(Action.CALL_TOOL, curl(), sid()), thing=thing, circumstances=so)
        record = decided(engine, asked)
        told = replay(SENDS, catalogue=True).all([record])
        assert (told.same, told.changed, dict(told.unknown)) == (1, {}, {})
        assert record["outcome"] == ("allowed" if not untrusted and not high else "refused")


def test_built_in_rules_are_no_policys_and_what_is_gone_is_unknown() -> None:
    record = decided(Engine(snapshot(ALL)), intent(Action.INFER, bot()))
    assert replay(ALL).all([{**record, "outcome": "refused", "rule": "remit:outside-task"}]).built_in == 1
    asked = {**record, "outcome": "refused", "rule": APPROVAL_NEEDED}
    assert replay(ASKS).all([asked]).same == 1
    for lost in (
        {"workload": str(sid("agent", "gone"))},
        {"workload": None, "person": "p-x"},
        {"resource": "rubbish"},
    ):
        assert replay(ALL).again({**record, **lost}).outcome is Outcome.UNKNOWN
    assert replay(ALL).all([{"kind": "start"}, {"kind": "end"}]).decisions == 1


def test_what_was_learned_lets_through_what_was_observed_and_no_more() -> None:
    engine = Engine(snapshot(STARTER.text, tasks=[task("infer")]))
    records = [decided(engine, asked, number) for number, asked in enumerate(many())]
    learned = learn(records, NAMES, TD)
    assert learned.from_calls == sum(record["outcome"] == "allowed" for record in records)
    assert learned.refused == len(records) - learned.from_calls
    load([PolicyFile("learned.cedar", learned.text)])
    told = replay(learned.text).all(records)
    assert {(was, now) for was, now, _, _ in told.changed} <= {("refused", "allowed")}
    again = replay(learned.text)
    assert not [
        one for one in records if one["rule"] == "default-deny" and again.again(one).outcome is Outcome.ALLOWED
    ]
    assert re.search(r"// \d+ calls, 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ to 20", learned.text)
    assert "d0" in learned.text


def test_nothing_is_learned_from_what_was_refused_cut_or_let_through_by_a_built_in_rule() -> None:
    record = decided(Engine(snapshot(ALL)), intent(Action.INFER, curl("ada")))
    for row in (
        {**record, "outcome": "refused"},
        {**record, "rule": "remit:break-glass"},
        {**record, "policies": []},
        {**record, "person": "p-unknown"},
    ):
        assert learn([row], NAMES, TD).policies == 0
    assert learn([record, {"kind": "end", "id": "d0", "outcome": "cut"}], NAMES, TD).policies == 0
    assert learn([record], NAMES, TD).policies == 1


def test_no_text_of_a_caller_gets_out_of_its_quotes() -> None:
    evil = 'x"].contains(context.model.name) || true };\npermit (principal, action, resource); //\u202e\ud800'
    record = decided(Engine(snapshot(ALL)), intent(Action.INFER, bot(), model='a"b'))
    learned = learn([{**record, "model": evil, "id": "d0\npermit (principal, action, resource);"}], NAMES, TD)
    assert len(load([PolicyFile("l.cedar", learned.text)]).policies) == 1
    with pytest.raises(RefusedError):
        Engine(snapshot(learned.text)).decide(intent(Action.LIST, curl("bob"), PROD), NOW, "d")
