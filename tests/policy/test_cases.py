"""Cases beside the policies: asked of them in any circumstances, and told when they don't hold."""

import json
import re
from pathlib import Path

import pytest

from remit.errors import UsageError
from remit.policy.cases import Tried, case_file, tried
from remit.policy.catalogue import NAME
from remit.policy.intent import Action
from remit.policy.outcome import Outcome
from remit.policy.schema import SCHEMA_TEXT
from remit.policy.snapshot import PolicyFile
from remit.policy.supposed import ON, ON_WORKLOADS
from tests.policy.test_cli import remit
from tests.policy.test_things import CATALOGUE, SENDS
from tests.policy.worlds import STARTER

HOUSE = """
people = ["ada", "bob"]
[workload.llama]
owner = "ada"
[workload.prod]
owner = "ada"
environment = "prod"
[workload.bot]
owner = "bob"
kind = "agent"
"""
PRESENT = (
    '@id("when-here")\npermit (principal, action == Action::"retrieve", resource) when {context.presence == "here"};'
)
ASKS = '@id("asks")\n@approval("approver")\npermit (principal, action == Action::"export", resource);'
FILES = (PolicyFile(NAME, CATALOGUE), STARTER, PolicyFile("more.cedar", f"{SENDS}\n{PRESENT}\n{ASKS}"))


def case(who: str, action: str, what: str, expect: str, given: str = "", rule: str = "") -> str:
    said = f'[[case]]\nwho = "{who}"\naction = "{action}"\nwhat = "{what}"\nexpect = "{expect}"\n'
    return said + (f'rule = "{rule}"\n' if rule else "") + (f"[case.with]\n{given}\n" if given else "")


def one(text: str) -> Tried:
    return tried(FILES, [case_file("a.test.toml", HOUSE + text)])[0]


HOLDS = [
    case("ada", "infer", "llama", "allowed", rule="owners-use"),
    case("bob", "infer", "llama", "refused", rule="default-deny"),
    case("bot", "infer", "llama", "refused"),
    case("ada", "infer", "prod", "refused", "model = { known = false }", "no-unknown-model-in-prod"),
    case("bob", "administer", "llama", "allowed", "task = {}", "administer-in-a-task"),
    case("bob", "administer", "llama", "refused", 'task = { actions = ["infer"] }'),
    case("bob", "retrieve", "wiki", "allowed", 'presence = "here"', "when-here"),
    case("bob", "retrieve", "wiki", "refused"),
    case("bob", "export", "maple.local", "needs approval", rule="asks"),
    case("bob", "export", "unknown", "needs approval"),
    case("bot", "call_tool", "mail/send", "refused", 'args = { untrusted = ["recipient"] }'),
    case("bot", "call_tool", "mail/send", "allowed", 'args = {}\nflow = {}\ndestination = "maple.local"'),
    case(
        "bot", "call_tool", "mail/send", "refused",
        'args = {}\nflow = { high = "restricted" }\ndestination = "maple.local"', "no-more-than-it-is-cleared-for",
    ),
]  # fmt: skip


@pytest.mark.parametrize("text", HOLDS)
def test_a_case_that_holds_passes(text: str) -> None:
    found = one(text)
    assert found.passed, (found.answer, found.wrong)


def test_a_case_that_does_not_hold_fails_by_outcome_and_by_rule() -> None:
    assert not one(case("bob", "infer", "llama", "allowed")).passed
    other = one(case("ada", "infer", "llama", "allowed", rule="owners-look"))
    assert not other.passed
    assert other.answer is not None
    assert (other.answer.outcome, other.answer.rule) == (Outcome.ALLOWED, "owners-use")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (case("adda", "infer", "llama", "allowed"), "nobody is called `adda`; did you mean `ada`?"),
        (case("ada", "infr", "llama", "allowed"), "`infr` is no action; did you mean `infer`?"),
        (case("ada", "infer", "lama", "allowed"), "no workload is called `lama`; did you mean `llama`?"),
        (case("ada", "call_tool", "mail/snd", "refused"), "lists no tool `mail/snd`; did you mean `mail/send`?"),
        (case("ada", "infer", "llama", "refused", 'presense = "here"'), "did you mean `presence`?"),
        (case("ada", "infer", "llama", "refused", 'presence = "her"'), "can't be `her`; did you mean `here`?"),
        (case("ada", "infer", "llama", "refused", "exhaustive = 1"), "`exhaustive` is a bool, not `1`"),
        (case("ada", "infer", "llama", "refused", 'flow = { high = 2 }'), "`flow.high` can't be `2`"),
    ],
)  # fmt: skip
def test_what_can_not_be_asked_fails_and_says_why(text: str, said: str) -> None:
    found = one(text)
    assert not found.passed
    assert said in found.wrong


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no case"),
        (case("ada", "infer", "llama", "maybe"), "`expect` can't be `maybe`"),
        ('[[case]]\nwho = "ada"\nexpects = "allowed"', "`expects` means nothing"),
        ('[[case]]\nwho = "ada"', "`action` is missing"),
        ("[workload.llama]\n", "is not TOML"),
        (
            '[workload.x]\nknd = "agent"\n' + case("ada", "infer", "llama", "allowed"),
            "`workload.x.knd` means nothing",
        ),
    ],
)
def test_a_file_that_means_nothing_is_an_error(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"a\.test\.toml") as caught:
        case_file("a.test.toml", HOUSE + text)
    assert said in str(caught.value)


def test_each_action_is_asked_on_what_the_schema_says() -> None:
    found: dict[str, str] = {}
    for names, kind in re.findall(
        r"action ([\w, ]+?) appliesTo \{\s*principal: Workload,\s*resource: (\w+)", SCHEMA_TEXT
    ):
        found |= {name.strip(): kind for name in names.split(",")}
    mine = {action.value: kind.value for action, kind in ON.items()}
    assert found == mine | {action.value: "Workload" for action in ON_WORKLOADS}
    assert set(found) == {action.value for action in Action}


def test_the_command_tells_what_failed_and_ends_with_1(tmp_path: Path) -> None:
    where = tmp_path / "policies"
    where.mkdir(mode=0o700)
    for file in FILES:
        (where / file.name).write_text(file.text)
    assert "no case is in" in remit("test", state=tmp_path).stderr
    (where / "a.test.toml").write_text(HOUSE + "".join(HOLDS))
    good = remit("test", state=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith(f"ok   {len(HOLDS)} cases, 0 failed")
    (where / "b.test.toml").write_text(HOUSE + case("bob", "infer", "llama", "allowed"))
    bad = remit("test", str(where), state=tmp_path)
    assert bad.returncode == 1
    assert bad.stdout.startswith(
        "FAIL b.test.toml#1  bob infer llama\n     expected allowed; it is refused: default-deny\n"
    )
    told = json.loads(remit("test", "--json", state=tmp_path).stdout)
    assert told["ok"] is False
    assert [row["passed"] for row in told["cases"]] == [True] * len(HOLDS) + [False]
