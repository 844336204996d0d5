"""What a grant covers, and that a narrower one covers nothing that its parent does not."""

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from remit.tasks import constraint
from remit.tasks.constraint import Constraint
from remit.tasks.grant import ToolGrant, all_narrower, narrower

TEXTS = (
    "a", "ab", "", "/w", "/w/a", "/w/a/b", "/w/../x", "/w/./a//b", "/wa", "w", "w/a", "./w", ".", "..", "~/w", "/",
    "x.example", "a.x.example", "https://x.example/a", "https://X.example:8443", "https://x.example@evil.example/",
    "bob@x.example", "bob@evil.example", "evilx.example", "x.example.", "1", "/w\\a", "/w/%2e%2e/a", "/w/a/..",
)  # fmt: skip
NUMBERS = (0, 1, 1.0, 2, -1, 10**400, 0.5, True, False)
scalars = st.sampled_from(TEXTS) | st.sampled_from(NUMBERS)
values: st.SearchStrategy[Any] = st.one_of(
    scalars, st.none(), st.lists(scalars, max_size=3), st.lists(st.lists(scalars), max_size=1), st.just({"a": 1})
)
roots = st.lists(st.sampled_from(["/", "/w", "/w/a", "w", ".", "./w/"]), min_size=1, max_size=2).map(tuple)
rules = st.lists(st.sampled_from(["x.example", "*.example", "*.x.example", "a.x.example", "X.example."]), min_size=1)
bounds = st.builds(
    Constraint,
    equals=st.none() | scalars,
    one_of=st.none() | st.lists(scalars, min_size=1, max_size=3).map(tuple),
    beneath=st.none() | roots,
    host_in=st.none() | rules.map(tuple),
    matches=st.none() | st.sampled_from(["a.*", "a", "/w.*", ".*"]),
    at_most=st.none() | st.sampled_from([0, 1, 2, 10**500]).map(lambda most: min(most, 10**6)),
    optional=st.booleans(),
)
few_bounds = st.one_of(
    st.builds(Constraint, optional=st.booleans()),
    st.builds(Constraint, equals=scalars),
    st.builds(Constraint, one_of=st.lists(scalars, min_size=1, max_size=3).map(tuple), optional=st.booleans()),
    st.builds(Constraint, beneath=roots, optional=st.booleans()),
    st.builds(Constraint, host_in=rules.map(tuple)),
    st.builds(Constraint, matches=st.sampled_from(["a.*", "/w.*"])),
    st.builds(Constraint, at_most=st.sampled_from([0, 1, 2])),
    bounds,
)
TOOLS = ("files/read", "files/write", "mail/send")
names = st.sampled_from(["to", "path"])
grants = st.builds(
    ToolGrant,
    st.sampled_from([*TOOLS, "files/*", "*", "files/r*"]),
    st.dictionaries(names, few_bounds, max_size=2).map(lambda found: tuple(found.items())),
    st.booleans(),
)
calls = st.none() | st.dictionaries(st.sampled_from(["to", "path", "bcc"]), values, max_size=3)


@settings(max_examples=300)
@given(few_bounds, few_bounds, st.lists(values, min_size=1, max_size=12))
def test_what_a_narrower_constraint_holds_its_parent_holds(
    child: Constraint, parent: Constraint, given_values: list[Any]
) -> None:
    if constraint.narrower(child, parent):
        event("narrower")
        for value in (*given_values, *TEXTS, *NUMBERS, None, [], [*TEXTS], ["a", "a"], [1], {}, ["/w/a"]):
            assert not child.holds(value) or parent.holds(value), value


@settings(max_examples=300)
@given(grants, grants, st.lists(calls, min_size=1, max_size=8))
def test_what_a_narrower_grant_covers_its_parent_covers(
    child: ToolGrant, parent: ToolGrant, given_calls: list[Any]
) -> None:
    if narrower(child, parent):
        event("narrower")
        for tool in (*TOOLS, "files/", "other"):
            for arguments in (*given_calls, None, {}, {"bcc": "a"}, {"to": "a", "path": "/w/a"}):
                assert not child.covers(tool, arguments) or parent.covers(tool, arguments)


@given(grants)
def test_a_grant_is_as_narrow_as_itself_and_kept_as_it_is(grant: ToolGrant) -> None:
    assert narrower(grant, grant)
    assert ToolGrant.from_dict(grant.to_dict()) == grant


@given(grants, grants, grants)
def test_narrower_than_what_is_narrower_is_narrower(one: ToolGrant, two: ToolGrant, three: ToolGrant) -> None:
    if narrower(one, two) and narrower(two, three):
        for arguments in (None, {}, {"to": "a"}, {"path": "/w/a"}, {"to": "/w", "path": 1, "bcc": 1}):
            assert not one.covers("files/read", arguments) or three.covers("files/read", arguments)


@pytest.mark.parametrize(
    ("within", "without"),
    [
        (Constraint(equals="a"), [1, None, "A", "a ", ["a"], [], True]),
        (Constraint(one_of=("a", 1)), [1.0, True, "b", [1], ["a", "b"], {}]),
        (Constraint(beneath=("/w",)), ["/w/../x", "/wa", "w/a", "/w/..", "/w/a/../../x", "/w\x00", "/w/%2e%2e/x"]),
        (
            Constraint(beneath=("/w",)),
            ["/w/\uff0e\uff0e/x", "/w/a\\..\\x", "file:///w/a", ["/w/a", "/x"], "/w\n/..", "/w/%2e\u0301"],
        ),
        (Constraint(beneath=(".",)), ["/etc/passwd", "/", "../a", "~"]),
        (Constraint(beneath=("w",)), ["/w/a", "~/w", "$HOME/w", "../w", "x:w", "w/${X}"]),
        (Constraint(host_in=("x.example",)), ["https://x.example@evil.example/", "https://x.example\\@evil.example"]),
        (Constraint(host_in=("x.example",)), ["https://evil.example/x.example", "https://x.example.evil.example"]),
        (
            Constraint(host_in=("x.example",)),
            ["https://x.ex\u0430mple/", "https://x%2eexample/", "a.x.example"],
        ),
        (Constraint(host_in=("x.example",)), ["eve@evil.example,bob@x.example", "bob@x.example\n", "//x.example/"]),
        (
            Constraint(host_in=("x.example",)),
            ["https://x.example/\\@evil.example", "https://x.example/ b", "http:x.example"],
        ),
        (Constraint(host_in=("*.x.example",)), ["x.example", "evilx.example", "a.x.example.evil"]),
        (Constraint(matches="a"), [["a"] * 257]),
        (Constraint(matches="a.c"), ["xabc", "abcx", "a\nc", "ab", 5, "\ud800", ["abc", "x"]]),
        (Constraint(at_most=100), [101, -1, "5", True, float("nan"), float("inf"), [5], 10**400]),
    ],
)
def test_what_is_not_within(within: Constraint, without: list[Any]) -> None:
    assert [value for value in without if within.holds(value)] == []


@pytest.mark.parametrize(
    ("within", "fine"),
    [
        (Constraint(one_of=("a", "b")), ["a", ["a", "b"]]),
        (Constraint(beneath=("/w/",)), ["/w", "/w/a", "//w/./a", ["/w/a", "/w/b"], "/w/a..b"]),
        (Constraint(beneath=(".",)), ["a", "./a/b", "."]),
        (Constraint(host_in=("x.example",)), ["https://X.example./a?b#c", "x.example:80", "bob@x.example"]),
        (Constraint(host_in=("*.x.example",)), ["wss://a.b.x.example", "a.x.example"]),
        (Constraint(matches="\u00e9.c"), ["\u00e9\u00e9c"]),
        (Constraint(at_most=100), [100, 0, 99.5]),
        (Constraint(), [1, "", {}, [{}], False]),
        (Constraint(equals="a", optional=True), ["a", None, []]),
    ],
)
def test_what_is_within(within: Constraint, fine: list[Any]) -> None:
    assert [value for value in fine if not within.holds(value)] == []


def test_an_argument_that_is_not_there_is_not_within_unless_it_is_optional() -> None:
    grant = ToolGrant("mail/send", (("to", Constraint(equals="bob")),))
    assert grant.covers("mail/send", {"to": "bob", "bcc": "eve"})
    assert not grant.covers("mail/send", {})
    assert not grant.covers("mail/send", None)
    assert not grant.covers("mail/sends", {"to": "bob"})
    closed = ToolGrant("mail/send", (("to", Constraint(equals="bob")), ("cc", Constraint(optional=True))), False)
    assert closed.covers("mail/send", {"to": "bob"})
    assert not closed.covers("mail/send", {"to": "bob", "bcc": "eve"})
    assert narrower(closed, grant)
    assert not narrower(grant, closed)


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (Constraint(beneath=("/w/a",)), Constraint(beneath=("/w",))),
        (Constraint(one_of=("/w/a", "/w/b")), Constraint(beneath=("/w",))),
        (Constraint(equals="ab"), Constraint(matches="a.")),
        (Constraint(one_of=(1, 2)), Constraint(at_most=2)),
        (Constraint(host_in=("*.a.x.example",)), Constraint(host_in=("*.x.example",))),
        (Constraint(equals="a"), Constraint(one_of=("a", "b"), optional=True)),
        (Constraint(at_most=1, matches="a"), Constraint(at_most=2)),
        (Constraint(at_most=1), Constraint()),
    ],
)
def test_what_is_narrower_is_known_to_be(child: Constraint, parent: Constraint) -> None:
    assert constraint.narrower(child, parent)
    assert not constraint.narrower(parent, child)


def test_a_list_of_one_is_not_the_one() -> None:
    assert not constraint.narrower(Constraint(one_of=("a",)), Constraint(equals="a"))


def test_an_argument_that_the_child_leaves_free_is_not_narrower() -> None:
    parent = ToolGrant("mail/send", (("cc", Constraint(equals="bob", optional=True)),))
    assert not narrower(ToolGrant("mail/send"), parent)
    assert narrower(ToolGrant("mail/send", (("to", Constraint()),), others=False), parent)


def test_the_first_grant_that_is_in_no_parent_is_named() -> None:
    parents = [ToolGrant("files/*", (("path", Constraint(beneath=("/w",))),)), ToolGrant("mail/read")]
    fine = ToolGrant("files/read", (("path", Constraint(beneath=("/w/a",))),))
    assert all_narrower([fine, ToolGrant("mail/read")], parents) is None
    assert all_narrower([fine, ToolGrant("files/read")], parents) == ToolGrant("files/read")
    assert all_narrower([ToolGrant("mail/*")], parents) == ToolGrant("mail/*")
    assert all_narrower([ToolGrant("*")], []) == ToolGrant("*")


@pytest.mark.parametrize(
    "bound",
    [
        {"one_of": []},
        {"one_of": ["a"] * 257}, {"one_of": [None]}, {"one_of": "a"}, {"beneath": ["/w/../x"]}, {"beneath": [""]},
        {"host_in": ["https://x.example"]}, {"host_in": ["*"]}, {"host_in": ["x.*"]}, {"matches": "(?=a)"},
        {"matches": "("}, {"matches": 1}, {"at_most": -1}, {"at_most": True}, {"at_most": float("nan")},
        {"equals": float("inf")}, {"equals": {}}, {"optional": 1}, {"beneath": "/w"},
    ],
)  # fmt: skip
def test_a_bound_that_says_nothing_is_refused(bound: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`"):
        Constraint.from_dict(bound)


@pytest.mark.parametrize("tool", ["", "a*b", "**", "x" * 513])
def test_a_name_that_is_no_tool_is_refused(tool: str) -> None:
    with pytest.raises(ValueError, match="no tool"):
        ToolGrant(tool)


def test_an_expression_costs_what_the_text_is_long() -> None:
    assert not Constraint(matches="(a*)*b").holds("a" * 60_000)
    assert not Constraint(matches=".*").holds("a" * 65_537)
