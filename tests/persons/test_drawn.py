"""What the asker draws: all of it, whatever the terminal's size; and lines as they are typed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.persons import Shown
from remit.persons.asker_line import MAX_TYPED, Answer, Order, Outcome
from remit.persons.drawn import pages, question
from remit.persons.typed_line import TypedLine, Typing


def order(**values: object) -> Order:
    return Order("ada", "task.start", "process 7 (remit)", Shown.of(**values).lines())


def width(row: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in row)


@given(st.text(max_size=300), st.integers(0, 2000), st.integers(0, 2000), st.booleans())
def test_nothing_is_left_out_or_runs_over_the_edge(value: str, rows: int, columns: int, utf8: bool) -> None:
    drawn = pages(order(purpose=value), rows, columns, utf8=utf8)
    wide = max(columns or 80, 20)
    assert all(width(row) < wide for page in drawn for row in page)
    assert all(len(page) <= max((rows or 24) - 3, 2) for page in drawn)
    text = "".join(row for page in drawn for row in page)
    assert all(one.isprintable() for one in text)
    if utf8:
        assert Shown.of(purpose=value).lines()[0] in text
    else:
        assert text.isascii()


def test_a_question_names_the_account_or_the_code() -> None:
    assert question(order(on="demo")).startswith("password of ada ")
    assert question(Order("ada", "stop", "process 7 (remit)", (), "kmpx")).startswith("type kmpx to agree")


@pytest.mark.parametrize(
    ("keys", "typed", "how"),
    [
        (b"horse\n", b"horse", Typing.DONE),
        (b"horse\r", b"horse", Typing.DONE),
        (b"horse\x04", b"horse", Typing.DONE),
        (b"ho\x7frse\n", b"hrse", Typing.DONE),
        (b"h\xc3\xa4\x7f\x08a\n", b"a", Typing.DONE),
        (b"old\x15new\n", b"new", Typing.DONE),
        (b"\xff\xfe\n", b"\xff\xfe", Typing.DONE),
        (b"\x04", b"", Typing.REFUSED),
        (b"horse\x03", b"horse", Typing.REFUSED),
        (b"x" * MAX_TYPED + b"\n", b"x" * MAX_TYPED, Typing.DONE),
        (b"x" * (MAX_TYPED + 1), b"x" * MAX_TYPED, Typing.TOO_LONG),
    ],
)
def test_a_line_is_edited_as_it_is_typed(keys: bytes, typed: bytes, how: Typing) -> None:
    line = TypedLine()
    said = [line.feed(key) for key in keys]
    assert said[-1] is how
    assert set(said[:-1]) <= {Typing.GOES_ON}
    assert line.data == typed
    line.overwrite()
    assert line.data == b""


def test_messages_come_back_as_they_were() -> None:
    shown = order(on="dem\x1bö", actions=["a", "b"])
    assert Order.parse(shown.to_bytes()) == shown
    assert Answer.parse(Answer(Outcome.TYPED, "kmpx").to_bytes()) == Answer(Outcome.TYPED, "kmpx")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "Expecting value"),
        (b"{}", "no answer"),
        (b"[]", "no answer"),
        (b'{"outcome": "", "code": ""}', "Outcome"),
    ],
)
def test_half_an_answer_is_none(said: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Answer.parse(said)
