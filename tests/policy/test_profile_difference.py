"""What a change of profiles lets tasks do more, or less."""

import pytest

from remit.policy import PolicyFile
from remit.policy.difference import Kind
from remit.policy.profile_difference import profile_changes
from remit.policy.profiles import profiles_of
from remit.tasks.profile import Profile

BASE = """\
actions = ["infer", "call_tool"]
ceiling = "internal"
destinations = ["*.example.com"]
seconds = 600
present = true
[budget]
calls = 10
[tools."mail/send"]
"""


def of(text: str | None) -> dict[str, Profile]:
    return {} if text is None else profiles_of([PolicyFile("profiles/mail.toml", text)])


@pytest.mark.parametrize(
    ("before", "after", "kind", "why"),
    [
        ('"infer", ', "", Kind.LOSS, "actions"),
        ('"infer", ', '"infer", "export", ', Kind.MAY_GAIN, "actions"),
        ('"internal"', '"confidential"', Kind.MAY_GAIN, "ceiling"),
        ('"internal"', '"public"', Kind.LOSS, "ceiling"),
        ("*.example.com", "a.example.com", Kind.LOSS, "destinations"),
        ("*.example.com", "*", Kind.MAY_GAIN, "destinations"),
        ("calls = 10", "calls = 11", Kind.MAY_GAIN, "budget"),
        ("calls = 10", "", Kind.MAY_GAIN, "budget"),
        ("calls = 10", "calls = 10\ntokens = 5", Kind.LOSS, "budget"),
        ("600", "601", Kind.MAY_GAIN, "seconds"),
        ("600", "60", Kind.LOSS, "seconds"),
        ("present = true", "present = false", Kind.MAY_GAIN, "present"),
        ("mail/send", "mail/list", Kind.MAY_GAIN, "tools"),
        ('[tools."mail/send"]', "", Kind.LOSS, "tools"),
    ],
)
def test_more_is_told_from_less(before: str, after: str, kind: Kind, why: str) -> None:
    (change,) = profile_changes(of(BASE), of(BASE.replace(before, after)))
    assert (change.kind, change.name) == (kind, "mail")
    assert why in change.why


def test_one_that_comes_or_goes_is_told_and_one_that_says_the_same_is_not() -> None:
    assert [one.kind for one in profile_changes({}, of(BASE))] == [Kind.MAY_GAIN]
    assert [one.kind for one in profile_changes(of(BASE), {})] == [Kind.LOSS]
    same = BASE.replace('["infer", "call_tool"]', '["call_tool", "infer"]') + "# a word\n"
    assert profile_changes(of(BASE), of(same)) == ()
