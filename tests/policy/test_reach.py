"""What a change of policies gives and takes, in all circumstances at once; checked against deciding one by one."""

import itertools
import json
import time
from pathlib import Path

import pytest

from remit.policy.catalogue import NAME
from remit.policy.difference import Kind
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.known import Known, known
from remit.policy.outcome import Outcome, answer_of
from remit.policy.reach import SOMEBODY, Compared, compare
from remit.policy.snapshot import PolicyFile
from remit.policy.supposed import ON_WORKLOADS, Supposed, question_of
from tests.policy.test_cases import HOUSE
from tests.policy.test_cli import remit
from tests.policy.worlds import STARTER

OWN = 'permit (principal, action == Action::"infer", resource) when { principal.owner == resource.owner'
ALL = '@id("all")\npermit (principal, action == Action::"infer", resource);'
NO_BOB = '@id("no-bob")\nforbid (principal, action, resource) when { context.human == Human::"bob" };'
HERE = '@id("here")\npermit (principal, action == Action::"infer", resource) when { context.presence == "here" };'
DAYTIME = '@id("day")\npermit (principal, action == Action::"infer", resource) when { context.time.hour > 8 };'
FAILS = '@id("fails")\npermit (principal, action, resource) when { context.time.hour + 9223372036854775807 > 0 };'
ASKS = '@id("asks")\n@approval("owner")\npermit (principal, action == Action::"infer", resource);'
LETS = '@id("lets")\n@on_restricted("allow")\npermit (principal, action == Action::"infer", resource);'
PROD = '@id("prod")\nforbid (principal, action, resource) when { resource.environment == "prod" };'
EXPORT = '@id("out")\npermit (principal, action == Action::"export", resource) when { context.grade == "A" };'
LATER = '@id("later")\n@mode("observe")\nforbid (principal, action, resource);'


BOT = 'Workload::"spiffe://test.local/agent/bot"'


def house() -> Known:
    import tomllib

    return known(tomllib.loads(HOUSE), "house")


def between(old: str, new: str, *, catalogues: tuple[str, str] = ("", "")) -> Compared:
    files = [
        (PolicyFile(NAME, catalogue), PolicyFile("p.cedar", text))
        for catalogue, text in zip(catalogues, (old, new), strict=True)
    ]
    return compare(*(InForce(house().snapshot(some)) for some in files))


def kinds(compared: Compared) -> set[Kind]:
    return {change.kind for change in compared.changes}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (ALL, ALL.replace("all", "other"), set()),
        (ALL + LATER, ALL, set()),
        (f'@id("own")\n{OWN} }};', ALL, {Kind.GAIN}),
        (ALL, f'@id("own")\n{OWN} }};', {Kind.LOSS}),
        (ALL, ALL + PROD, {Kind.LOSS}),
        (ALL + PROD, ALL, {Kind.GAIN}),
        (ALL + NO_BOB, ALL, {Kind.GAIN}),
        (HERE, HERE + DAYTIME, {Kind.MAY_GAIN}),
        (HERE + DAYTIME, HERE, {Kind.MAY_LOSE}),
        (HERE, DAYTIME, {Kind.MAY_GAIN}),
        (HERE + FAILS, HERE, {Kind.MAY_GAIN, Kind.LOSS}),
        (ASKS, ALL, {Kind.MAY_GAIN}),
        (ALL + ASKS, ALL, {Kind.MAY_GAIN}),
        (ALL, ASKS, {Kind.MAY_LOSE}),
        (ALL, LETS, {Kind.MAY_GAIN}),
        (LETS, ALL, {Kind.MAY_LOSE}),
        (ALL + EXPORT, ALL, {Kind.LOSS}),
    ],
)
def test_a_change_is_a_gain_or_a_loss(old: str, new: str, expected: set[Kind]) -> None:
    assert kinds(between(old, new)) == expected


def test_who_gains_what_by_which_policy() -> None:
    own = f'@id("own")\n{OWN} }};'
    found = between(own, f'{own}\n@id("bot")\npermit (principal == {BOT}, action, resource is Workload);')
    assert found.grows
    gained = [(change.who, change.action, change.what) for change in found.changes if change.action is Action.INFER]
    assert gained == [(("bot",), Action.INFER, ("llama", "prod"))]
    assert [ref.id for change in found.changes for ref in change.by] == ["bot"] * len(found.changes)
    everybody = between(own, ALL).changes
    assert any(SOMEBODY in change.who for change in everybody)


def test_who_is_named_is_not_taken_for_another_that_is_alike() -> None:
    alike = {name: {"owner": owner, "kind": "agent"} for name, owner in (("a1", "ada"), ("a2", "ada"), ("b1", "bob"))}
    house = known({"workload": {**alike, "m1": {"owner": "ada"}, "m2": {"owner": "bob"}}}, "house")
    for named, gains in (
        ('principal == Workload::"spiffe://test.local/agent/a2", action, resource);', {("a2",)}),
        ('principal == Workload::"spiffe://test.local/agent/\\u{61}2", action, resource);', {("a2",)}),
        ('principal, action, resource is Workload) when { principal.owner == Human::"bob" };', {("bob", "b1", "m2")}),
        (
            'principal, action, resource is Workload) when { principal.owner == Human::"b\\u{6f}b" };',
            {("bob", "b1", "m2")},
        ),
    ):
        sides = [
            InForce(house.snapshot((PolicyFile("p.cedar", text),)))
            for text in (PROD, f'{PROD}@id("p")\npermit ({named}')
        ]
        assert {change.who for change in compare(*sides).changes} == gains


def test_a_new_thing_in_the_catalogue_and_a_raised_clearance_are_reach() -> None:
    owners = f'@id("own")\n{OWN.replace("infer", "call_tool")} }};'
    listed = between(owners, owners, catalogues=("", '[tool."x"]\nowner = "ada"'))
    assert {(change.kind, change.what) for change in listed.changes} == {(Kind.GAIN, ("x",))}
    cleared = (
        '@id("flow")\npermit (principal, action == Action::"infer", resource)'
        " when { context has flow && context has destination && context.flow.high <= context.destination.clearance };"
    )
    raised = ('[destination.x]\nclearance = "public"', '[destination.x]\nclearance = "restricted"')
    assert between(cleared, cleared, catalogues=raised).grows


def test_it_never_misses_what_deciding_one_by_one_finds() -> None:
    """Whoever may do more in any circumstance that is tried is among those who gain or may gain."""
    texts = [
        ALL,
        f'@id("own")\n{OWN} }};',
        NO_BOB + ALL,
        HERE,
        HERE + PROD,
        DAYTIME + ASKS,
        ASKS,
        FAILS + HERE,
        STARTER.text,
    ]
    given = [{"presence": p, "time": {"hour": h}, "task": {}} for p in ("here", "away") for h in (3, 12)]
    sides = [InForce(house().snapshot((PolicyFile("p.cedar", text),))) for text in texts]
    every = [*itertools.product(("ada", "bob", "bot"), ON_WORKLOADS, ("llama", "prod"), given)]
    rank = (Outcome.REFUSED, Outcome.NEEDS_APPROVAL, Outcome.ALLOWED)
    answers = [
        [rank.index(answer_of(side.ask(question_of(side, Supposed(*asked)))).outcome) for asked in every]
        for side in sides
    ]
    for old, new in itertools.permutations(range(len(texts)), 2):
        compared = compare(sides[old], sides[new])
        grown = {
            (who, change.action, what)
            for change in compared.changes if change.kind.grows for who in change.who for what in change.what
        }  # fmt: skip
        for asked, was, now in zip(every, answers[old], answers[new], strict=True):
            assert now <= was or asked[:3] in grown, (texts[old], texts[new], asked)


def test_two_hundred_that_are_alike_are_tried_as_few() -> None:
    rows = {f"w{n}": {"owner": f"o{n % 20}", "environment": ("dev", "prod")[n % 2]} for n in range(180)}
    many = known({"people": [f"o{n}" for n in range(20)], "workload": rows}, "many")
    sides = [InForce(many.snapshot((PolicyFile("p.cedar", text),))) for text in (ALL, f'@id("own")\n{OWN} }};')]
    begun = time.perf_counter()
    compared = compare(*sides)
    assert (compared.who, compared.asked > 250_000, compared.tried < 500) == (201, True, True), compared.tried
    assert time.perf_counter() - begun < 60
    assert len(compared.changes) < 100


def test_the_command_ends_with_3_when_reach_grows(tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(HOUSE)
    for name, text in (("old", ALL + NO_BOB), ("new", ALL)):
        (tmp_path / name).mkdir(mode=0o700)
        (tmp_path / name / "p.cedar").write_text(text)
    between_them = ["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--known", str(tmp_path / "house.toml")]
    told = remit(*between_them, state=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("gain ")
    assert "by no-bob (p.cedar:" in told.stdout
    assert "not in it: who and what isn't known yet" in told.stdout
    assert remit(*between_them, "--no-new-reach", state=tmp_path).returncode == 3
    back = [between_them[0], between_them[2], between_them[1], *between_them[3:]]
    assert remit(*back, "--no-new-reach", state=tmp_path).returncode == 0
    assert json.loads(remit(*between_them, "--json", state=tmp_path).stdout)["grows"] is True


def test_a_profile_that_lets_tasks_do_more_grows_reach(tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(HOUSE)
    for name, seconds in (("old", 60), ("new", 61)):
        (tmp_path / name / "profiles").mkdir(mode=0o700, parents=True)
        (tmp_path / name / "p.cedar").write_text(ALL)
        (tmp_path / name / "profiles" / "mail.toml").write_text(f'actions = ["infer"]\nseconds = {seconds}\n')
    said = ["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--known", str(tmp_path / "house.toml")]
    told = remit(*said, "--no-new-reach", state=tmp_path)
    assert told.returncode == 3
    assert told.stdout.startswith("may gain  tasks of profile mail: seconds is not within what it was\nreach grows")
    back = [said[0], said[2], said[1], *said[3:]]
    assert remit(*back, "--no-new-reach", state=tmp_path).returncode == 0
    rows = json.loads(remit(*said, "--json", state=tmp_path).stdout)["profiles"]
    assert rows == [{"kind": "may gain", "name": "mail", "why": "seconds is not within what it was"}]
