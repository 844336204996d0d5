"""Profiles: the ones that come along load, a task of one is never more, and an error says where it is."""

from typing import Any

import pytest

from remit.detect import Label
from remit.errors import PolicyError
from remit.policy.intent import Action
from remit.tasks import Budget, Constraint, Narrowing, ToolGrant, WiderError
from remit.tasks.declaration import ACTIONS
from remit.tasks.profile import MAX_SECONDS, STARTERS, of, parse, profiles, starters

STARTED = profiles(starters().items())


def test_the_profiles_that_come_along_load() -> None:
    assert sorted(STARTED) == sorted(STARTERS)
    for profile in STARTED.values():
        assert profile.purpose
        assert profile.reach.actions
        assert profile.reach.budget.calls
        assert of(profile, Narrowing()) == profile.reach
        assert not {"administer", "disclose", "use_credential", "export"} & {*profile.reach.actions}
        assert all(grant.tool != "*" for grant in profile.reach.tools)


def covered(profile: str, tool: str, arguments: dict[str, Any]) -> bool:
    return any(grant.covers(tool, arguments) for grant in STARTED[profile].reach.tools)


@pytest.mark.parametrize(
    ("profile", "tool", "fits", "does_not"),
    [
        ("coding", "files/write_file", {"path": "/home/a/x.py", "content": "1"}, {"path": "/etc/x", "content": "1"}),
        ("coding", "files/read_file", {"path": "/home/a/x.py"}, {"path": "/home/a/../../etc/shadow"}),
        ("read-only-research", "search/query", {"query": "x", "limit": 5}, {"query": "x", "limit": 5_000}),
        (
            "read-only-research",
            "web/fetch",
            {"url": "https://arxiv.org/abs/1"},
            {"url": "https://arxiv.org/?q=secret"},
        ),
        ("mail-assistant", "mail/send", {"to": "a@localhost", "subject": "x", "body": "y"}, {"to": "a@localhost"}),
    ],
)
def test_what_they_cover(profile: str, tool: str, fits: dict[str, Any], does_not: dict[str, Any]) -> None:
    assert covered(profile, tool, fits)
    assert not covered(profile, tool, does_not)


def test_nothing_is_sent_by_the_back_door() -> None:
    mail = {"to": "a@localhost", "subject": "x", "body": "y"}
    assert not covered("mail-assistant", "mail/send", {**mail, "bcc": "eve@evil.example"})
    assert not covered("mail-assistant", "mail/send", {**mail, "cc": ["a@localhost", "eve@evil.example"]})
    assert not covered("read-only-research", "files/write_file", {"path": "/home/a", "content": ""})


def test_a_task_of_a_profile_may_be_less_and_never_more() -> None:
    coding = STARTED["coding"]
    own = Constraint(beneath=("/home/ada/project",))
    write = ToolGrant("files/write_file", (("path", own), ("content", Constraint())), others=False)
    part = of(coding, Narrowing(("infer", "call_tool"), (write,), Label.PUBLIC, (), Budget(calls=10), True))
    assert (part.tools, part.ceiling, part.present) == ((write,), Label.PUBLIC, True)
    assert part.budget == Budget(10, coding.reach.budget.tokens, coding.reach.budget.bytes)
    for wider in (
        Narrowing(actions=("disclose",)),
        Narrowing(tools=(ToolGrant("files/write_file", (("path", own),)),)),
        Narrowing(tools=(ToolGrant("mail/send"),)),
        Narrowing(ceiling=Label.RESTRICTED),
        Narrowing(destinations=("evil.example",)),
        Narrowing(budget=Budget(calls=5_001)),
    ):
        with pytest.raises(WiderError, match="the profile `coding`"):
            of(coding, wider)


TEXT = """# a profile
purpose = "x"
actions = ["infer"]

[tools."mail/send"]
arguments.to = { one_of = ["a"] }

[budget]
calls = 5
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "told", "hint"),
    [
        ("purpose", "purpos", "2:1", "`purpos` means nothing", "did you mean `purpose`?"),
        (
            "one_of",
            "one_off",
            "6:18",
            "`tools.mail/send.arguments.to.one_off` means nothing",
            "did you mean `one_of`?",
        ),
        (
            "arguments.to",
            "argument.to",
            "6:1",
            "`tools.mail/send.argument` means nothing",
            "did you mean `arguments`?",
        ),
        ("calls = 5", "call = 5", "9:1", "`budget.call` means nothing", "did you mean `calls`?"),
        ("calls = 5", "calls = -5", "8:2", "`calls` is a whole number", ""),
        ('["infer"]', '["inferr"]', "3:1", "`inferr` is no action", "did you mean `infer`?"),
        ('["infer"]', '"infer"', "3:1", "`actions` must be a list", ""),
        ("actions", "present = 1\nactions", "3:1", "`present` must be true or false", ""),
        ("actions", "seconds = 0\nactions", "3:1", "`seconds` must be from 1", ""),
        ("actions", 'ceiling = "untrusted"\nactions', "3:1", "`untrusted` is no ceiling", ""),
        ('{ one_of = ["a"] }', '{ matches = "(" }', "6:11", "`matches` is no RE2 expression", ""),
        ('{ one_of = ["a"] }', "5", "6:11", "`to` must be a table", "one_of"),
        ('"mail/send"', '"mail/*/x"', "5:9", "`mail/*/x` is no tool", ""),
        ('"mail/send"]', '"mail/send"', "5:19", "expected ']'", ""),
        ('actions = ["infer"]', "", "1:1", "`actions` is missing", "actions = "),
        ("calls = 5", "calls = [", "10:1", "invalid", ""),
    ],
)
def test_an_error_says_file_and_line_and_what_was_probably_meant(
    old: str, new: str, place: str, told: str, hint: str
) -> None:
    with pytest.raises(PolicyError) as wrong:
        parse("mine.toml", TEXT.replace(old, new, 1))
    assert str(wrong.value).startswith(f"mine.toml:{place}: ")
    assert told in str(wrong.value)
    assert hint in wrong.value.hint


def test_a_good_one_is_as_it_says() -> None:
    mine = parse("mine.toml", TEXT)
    assert (mine.name, mine.purpose, mine.seconds) == ("mine", "x", MAX_SECONDS)
    assert mine.reach.tools == (ToolGrant("mail/send", (("to", Constraint(one_of=("a",))),)),)
    assert (mine.reach.ceiling, mine.reach.destinations, mine.reach.present) == (Label.INTERNAL, (), False)


@pytest.mark.parametrize("file", ["../x.toml", "X.toml", ".toml", "x\n.toml", "a b.toml"])
def test_a_name_that_is_no_profile_s(file: str) -> None:
    with pytest.raises(PolicyError, match="can't be a profile's file"):
        parse(file, TEXT)


def test_a_file_that_is_too_long() -> None:
    with pytest.raises(PolicyError, match="can't be"):
        parse("mine.toml", TEXT + "#" * 262_144)


def test_its_actions_are_policies_but_those_that_widen() -> None:
    assert {action.value for action in Action} - {*ACTIONS} == {"register_tool", "deploy_model", "approve", "access"}
    assert {*ACTIONS} < {action.value for action in Action}
