"""A text in pieces gives what the whole gives, wherever it is cut."""

from collections.abc import Iterable
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.detect import Clear, Detector, Found, KnownValues, Label, Rule, TextStream, load_rules
from tests.oracle import detect as oracle

HELD = (b'held "value"/1', b"another-held-value", "pässwörter!".encode())


def small(**row: object) -> Rule:
    base = {"description": "-", "references": ["-"], "examples": ["-"], "counter_examples": ["-"], "max_length": 12}
    return Rule.from_row({**base, **row}, "test")


RULES = (
    small(id="open-end", anchors=["ab_", "ab_c"], pattern="[a-c]{3}", body="[a-c_]"),
    small(id="exact", anchors=["AB", "a"], pattern="[A-C]{3,5}", body="[A-Z]", exact=True),
    small(
        id="group",
        anchors=["pw", "pass"],
        pattern='\\s{0,2}[:=]\\s{0,2}"?([a-c1-3]{2,4})',
        secret_group=1,
        body="[a-c1-3]",
        ignore_case=True,
        anywhere=True,
        require=["[0-9]"],
        unless=["^1"],
    ),
    small(id="closed", anchors=["://"], pattern="[a-c]{0,3}:([a-c1@]{1,4})@", secret_group=1, anywhere=True),
    small(
        id="block",
        anchors=["<<"],
        pattern="[AB]?<",
        body="[a-cA-C\\s<>]",
        terminator=">[AB]?>",
        anywhere=True,
        label="restricted",
    ),
    small(id="two-part", anchors=["a", "b"], pattern="[abc]{2,5}\\.[abc]{2}", body="[a-c.]", max_length=9),
)
FRAGMENTS = [
    "a",
    "b",
    "c",
    "A",
    "B",
    "C",
    "1",
    "2",
    "3",
    " ",
    "_",
    ".",
    ":",
    "=",
    "@",
    '"',
    "\\",
    "n",
    "%",
    "<",
    ">",
    "\n",
    "W",
    "ß",
    "ab_",
    "ab_c",
    "abc",
    "pw=",
    "PASS: ",
    'pass="',
    "://",
    ":a1@",
    "<<",
    "<A<",
    ">>",
    ">A>",
    "%3D",
    "\\n",
    "bc.",
    "aaa",
    "AB",
    "ABC",
    'held "va',
    'lue"/1',
    "another-held",
    "-value",
    "pässwö",
    "rter!",
    "YW5vdGhlci1oZWxkLXZhbHVl",
    "616e6f746865722d68656c642d76616c7565",
    "wx",
    " the ",
]


@cache
def detector(shipped: bool) -> Detector:
    return Detector(load_rules() if shipped else RULES)


@cache
def known() -> KnownValues:
    return KnownValues(HELD)


def joined(stream: TextStream, pieces: Iterable[str]) -> str:
    out = [item for piece in pieces for item in stream.feed(piece)] + stream.close()
    return "".join(item.text if isinstance(item, Clear) else f"[REDACTED:{item.rule}]" for item in out)


def cut(text: str, places: list[int]) -> list[str]:
    at = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(at)]


texts = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
places = st.lists(st.integers(0, 200), max_size=8)


@settings(max_examples=1200, deadline=None)
@given(texts, places)
def test_the_stream_gives_what_the_oracle_gives_for_any_cut(text: str, places: list[int]) -> None:
    expected = oracle.cleaned(RULES, text, [form.text for form in known().forms])
    assert joined(detector(False).stream(known=known()), cut(text, places)) == expected
    assert joined(detector(False).stream(known=known()), text) == expected


@settings(max_examples=600, deadline=None)
@given(texts)
def test_the_scan_gives_what_the_oracle_gives(text: str) -> None:
    found = detector(False).scan(text, known=known())
    expected = oracle.findings(RULES, text, [form.text for form in known().forms])
    assert [(f.start, f.end, f.rule, f.label) for f in found] == expected


EXAMPLES = [example for rule in load_rules() for example in (*rule.examples, *rule.counter_examples)]
shipped_texts = st.lists(
    st.one_of(
        st.sampled_from(EXAMPLES),
        st.sampled_from(EXAMPLES).map(lambda e: e[: len(e) // 2]),
        st.sampled_from(FRAGMENTS),
    ),
    max_size=4,
).map("".join)


def scanned(text: str) -> str:
    for found in reversed(detector(True).scan(text, known=known())):
        text = f"{text[: found.start]}[REDACTED:{found.rule}]{text[found.end :]}"
    return text


@settings(max_examples=400, deadline=None)
@given(shipped_texts, places)
def test_shipped_rules_give_the_same_in_pieces_and_whole(text: str, places: list[int]) -> None:
    assert joined(detector(True).stream(known=known()), cut(text, places)) == scanned(text)


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.id)
def test_every_example_survives_no_single_character_feed(rule: Rule) -> None:
    for example in (*rule.examples, *rule.counter_examples):
        text = f"before {example} after"
        assert joined(detector(True).stream(), text) == scanned(text)


def test_clean_text_is_not_held_back() -> None:
    stream = detector(True).stream()
    assert stream.feed("The quick brown fox, ") == [Clear("The quick brown fox, ")]
    assert stream.feed("in 2026, ") == [Clear("in 2026, ")]


def test_the_beginning_of_an_anchor_is_held_back_and_let_go() -> None:
    stream = detector(True).stream()
    assert stream.feed("see gh") == [Clear("see ")]
    assert stream.feed("ost") == [Clear("ghos")]
    assert stream.feed(" story, ") == [Clear("t story, ")]


@pytest.mark.parametrize("before", ["\\n", "\\t", "%3D", "%0a", "\\\\n"])
def test_the_end_of_an_escape_is_no_word_before_a_token(before: str) -> None:
    text = f"line{before}ghp_{'A1b2C3d4E5' * 4}, "
    assert scanned(text) == f"line{before}[REDACTED:github-token], "
    assert joined(detector(True).stream(), text) == scanned(text)


def test_inside_a_word_no_token_begins() -> None:
    text = f"linen{'ghp_' + 'A1b2C3d4E5' * 4}, "
    assert scanned(text) == joined(detector(True).stream(), text) == text


def test_a_long_match_is_swallowed_as_it_comes() -> None:
    stream = detector(True).stream()
    assert stream.feed("-----BEGIN " + "PRIVATE KEY-----\n") == []
    for _ in range(1000):
        assert stream.feed("Abcdefghij0123456789Abcdefghij0123456789\n") == []
        assert len(stream._text) < 600
    assert stream.feed("-----END " + "PRIVATE KEY----- bye, ") == [
        Found("private-key", Label.RESTRICTED, 41053),
        Clear(" bye, "),
    ]


def test_past_its_length_a_match_goes_on_to_its_terminator_whatever_stands_between() -> None:
    head, tail = "-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----"
    text = f"{head}{'A' * 17_000}; not; body; {tail}; fine, "
    assert joined(detector(True).stream(), cut(text, [5, 16_000, 17_030])) == "[REDACTED:private-key]; fine, "


def test_an_allowed_label_is_let_through_but_never_what_remit_holds() -> None:
    everything = frozenset(Label)
    stream = detector(True).stream(known=known(), allowed=everything)
    token = "remit_task_" + "A1b2C3d4E5f6G7h8"
    text = "ghp_" + "A1b2C3d4E5" * 4 + f" {token} another-held-value, "
    expected = "ghp_" + "A1b2C3d4E5" * 4 + " [REDACTED:remit-task-token] [REDACTED:remit-held], "
    assert joined(stream, text) == expected
