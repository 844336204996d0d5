"""What is asked of a task beside its actions: read strictly, and out of what there is."""

from typing import Any

import pytest

from remit.detect import Label
from remit.errors import UsageError
from remit.tasks import Budget, Constraint, Narrowing, ToolGrant, WiderError
from remit.tasks.asked import MAX_EXPRESSIONS, MAX_LISTED, check_size, listed, narrowing_of
from remit.tasks.narrowing import Reach, narrowed
from remit.tasks.tool_part import ToolPart

HOME = Constraint(beneath=("/home",))
READ = ToolGrant("files/read*", (("path", HOME),))
SEND = ToolGrant("mail/send", (("to", Constraint(host_in=("x.example",))), ("body", Constraint())), others=False)
REACH = Reach(("infer", "call_tool"), (READ, SEND, ToolGrant("git/log")))


def test_what_is_said_is_read_and_what_is_not_said_is_as_it_was() -> None:
    assert narrowing_of({}) == Narrowing()
    said = {
        "tools": ["git/log", {"tool": "mail/send", "arguments": {"to": {"equals": "a@x.example"}}, "others": False}],
        "ceiling": "internal", "destinations": ["archive"], "budget": {"calls": 5}, "present": True,
    }  # fmt: skip
    send = ToolPart("mail/send", (("to", Constraint(equals="a@x.example")),), others=False)
    assert narrowing_of(said) == Narrowing(
        None, (ToolPart("git/log"), send), Label.INTERNAL, ("archive",), Budget(5), True
    )


def tools(*said: Any) -> tuple[ToolGrant, ...]:
    return narrowed(REACH, narrowing_of({"tools": list(said)})).tools


def test_a_tool_by_its_name_keeps_every_condition_that_there_is() -> None:
    assert tools("mail/send", "git/log") == (SEND, ToolGrant("git/log"))
    assert tools("files/read_file") == (ToolGrant("files/read_file", (("path", HOME),)),)


def test_one_argument_is_bounded_further_and_the_others_stay() -> None:
    tighter = {"tool": "mail/send", "arguments": {"to": {"equals": "a@x.example"}}}
    [send] = tools(tighter)
    mail = {"to": "a@x.example", "body": "hi"}
    assert send.covers("mail/send", mail)
    assert not any(
        send.covers("mail/send", {**mail, **more}) for more in ({"to": "b@x.example"}, {"bcc": "e@e.example"})
    )
    assert not send.covers("mail/send", {"to": "a@x.example"})


@pytest.mark.parametrize(
    "said",
    [
        "files/*", "files/write", "mail/send2", "*",
        {"tool": "mail/send", "others": True},
        {"tool": "mail/send", "arguments": {"to": {}}},
        {"tool": "mail/send", "arguments": {"bcc": {}}},
        {"tool": "files/read_file", "arguments": {"path": {"beneath": ["/etc"]}}},
        {"tool": "files/read_file", "arguments": {"path": {"beneath": ["/home"], "optional": True}}},
    ],
)  # fmt: skip
def test_more_than_there_is_is_refused(said: Any) -> None:
    with pytest.raises(WiderError):
        tools(said)


def test_where_nothing_is_to_be_cut_from_a_tool_is_as_it_says() -> None:
    reach = narrowing_of({"tools": ["git/log", {"tool": "a/b", "others": False}]}).alone()
    assert reach.tools == (ToolGrant("git/log"), ToolGrant("a/b", others=False))


DEEP: list[Any] = []
for _ in range(900):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "row",
    [
        {"tool": []}, {"tools": {}}, {"tools": [5]}, {"tools": [{}]}, {"tools": [{"tool": 5}]}, {"tools": ["a*b"]},
        {"tools": [""]}, {"tools": ["x" * 600]}, {"tools": ["a"] * 501}, {"tools": ["a\nb"]}, {"tools": ["\ud800"]},
        {"tools": ["a\u202eb"]}, {"tools": [{"tool": "a", "arguments": {"x": {"equals": "\ud800"}}}]},
        {"tools": [{"tool": "a", "arguments": []}]}, {"tools": [{"tool": "a", "arguments": {"x": 1}}]},
        {"tools": [{"tool": "a", "arguments": {"x": {"equals": [1]}}}]}, {"tools": [{"tool": "a", "other": True}]},
        {"tools": [{"tool": "a", "arguments": {"x": {"matches": "("}}}]}, {"tools": [{"tool": "a", "others": 1}]},
        {"tools": [{"tool": "a", "arguments": {"x": {"one_of": [{}]}}}]},
        {"tools": [{"tool": "a", "arguments": {"x": {"equals": DEEP}}}]}, {"tools": DEEP},
        {"ceiling": "untrusted"}, {"ceiling": 1}, {"ceiling": ""}, {"destinations": "a"}, {"destinations": [""]},
        {"destinations": ["a\x1b[2J"]}, {"budget": {"call": 1}}, {"budget": {"calls": -1}},
        {"budget": {"calls": True}}, {"budget": []}, {"present": 1}, {"profile": "coding"},
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_a_mistake_of_who_asks(row: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        narrowing_of(row)


def test_lists_that_no_snapshot_should_carry_are_refused() -> None:
    assert listed(Reach(("infer",))) == 0
    check_size(REACH)
    long = Reach(("call_tool",), tuple(ToolGrant("x" * 500 + str(at)) for at in range(MAX_LISTED // 500)))
    with pytest.raises(UsageError, match="is longer than"):
        check_size(long)


def with_expressions(first: int, number: int) -> list[dict[str, Any]]:
    bounds = {f"a{at}": {"matches": f"x{at}"} for at in range(first, first + number)}
    return [{"tool": f"t{first}", "arguments": bounds}]


def test_so_many_expressions_are_compiled_at_once_and_no_more() -> None:
    """Each takes up to 3 ms, on the event loop of control."""
    narrowing_of({"tools": [*with_expressions(0, 16), *with_expressions(16, MAX_EXPRESSIONS - 16)]})
    with pytest.raises(UsageError, match="more than 32 conditions"):
        narrowing_of({"tools": [*with_expressions(0, 16), *with_expressions(16, MAX_EXPRESSIONS - 15)]})


def test_an_expression_that_takes_much_memory_is_none() -> None:
    with pytest.raises(UsageError, match="no RE2 expression"):
        narrowing_of({"tools": [{"tool": "t", "arguments": {"a": {"matches": r"\pL{40}"}}}]})
