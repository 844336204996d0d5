"""Strict JSON: the public test suite, and each refusal with its place in plain words."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import ProtocolError
from remit.gateway.strict_json import MAX_DEPTH, Json, dump, parse, refuse_case_twins

REFUSED_ON_PURPOSE = {
    "y_object_duplicated_key.json": "two readers may take different ones",
    "y_object_duplicated_key_and_value.json": "two readers may take different ones",
}
"""Valid by the grammar and refused here. This list can only shrink."""


def rows(vectors: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (vectors / "json_test_suite.jsonl").read_text().splitlines()]


def accepted(body: bytes) -> bool:
    try:
        parse(body)
    except ProtocolError:
        return False
    return True


def test_the_json_test_suite_is_answered_as_it_says(vectors: Path) -> None:
    got = {row["name"]: accepted(base64.b64decode(row["b64"])) for row in rows(vectors)}
    want = {row["name"]: row["expect"] == "accept" for row in rows(vectors) if row["expect"] != "impl"}
    assert len(want) > 250
    assert {name for name in want if got[name] != want[name]} == set(REFUSED_ON_PURPOSE)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"model": 1, "model": 2}', "the key `model` stands twice"),
        (b'{"a": [{"b": 1, "b": 1}]}', "the key `b` stands twice"),
        (b'{"model": 1, "Model": 2}', "`model` and `Model` differ only in case"),
        ('{"seed": 1, "ſeed": 2}'.encode(), "differ only in case"),
        (b'{"t": NaN}', "`NaN` is not a json number"),
        (b'{"t": -Infinity}', "`-Infinity` is not"),
        (b'{"t": 1e999}', "`1e999` is too large"),
        (b'{"n": 123456789012345678901}', "beyond 64 bits"),
        (b'{"a": "\xff"}', "invalid utf-8 at byte 7"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (rb'{"a": ["x", "\ud800"]}', "a lone surrogate in `a.1`"),
        (rb'{"\udc00": 1}', "a lone surrogate in"),
        (b"{} {}", "extra data at line 1, column 4"),
        (b'{"a": "\n"}', "invalid control character"),
        (b"", "expecting value at line 1, column 1"),
        (b"[" * 100_000, "levels of nesting"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "more than 64 levels"),
    ],
)
def test_a_refusal_names_the_place(body: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match="the body is not acceptable json") as refusal:
        parse(body)
    assert words in str(refusal.value)
    assert refusal.value.status == 400


def test_depth_is_counted_to_the_limit_and_not_by_the_number_of_objects() -> None:
    assert accepted(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert accepted(b"[" + b"[1]," * 500 + b"{}]")


def test_surrogate_pairs_are_one_character() -> None:
    assert parse(rb'"\ud83d\ude00"') == "😀"


def test_case_twins_below_the_top_are_the_dialects_to_refuse() -> None:
    nested = parse(b'{"schema": {"x": 1, "X": 2}}')
    assert isinstance(nested, dict)
    assert isinstance(nested["schema"], dict)
    with pytest.raises(ProtocolError):
        refuse_case_twins(nested["schema"])


def test_what_utf_8_cannot_carry_is_not_written() -> None:
    with pytest.raises(ProtocolError, match="can't be written"):
        dump("\ud800")


def test_the_widest_integers_are_read_and_written() -> None:
    body = b"[18446744073709551615,-9223372036854775808]"
    assert dump(parse(body)) == body
    for beyond in (b"[18446744073709551616]", b"[-9223372036854775809]"):
        with pytest.raises(ProtocolError, match="beyond 64 bits"):
            parse(beyond)


_LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
_JSON = st.recursive(
    _LEAVES | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "ü", ""]), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(_JSON)
def test_what_is_written_is_read_back_the_same(value: Json) -> None:
    assert parse(dump(value)) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ud8e+-.019ntfalse \n', max_size=60).map(str.encode))
def test_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    accepted(body)
