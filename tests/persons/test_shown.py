"""What a person is shown can't hide, move or imitate anything, and names exactly what is done."""

import pytest

from remit.persons import Shown
from remit.persons.shown import visible


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("plain text, with (signs) & more: ok", "plain text, with (signs) & more: ok"),
        ("", "(empty)"),
        ("a\x1b[2Jb", "a\\u{001b}[2Jb"),
        ("one\ntwo\rthree", "one\\u{000a}two\\u{000d}three"),
        ("a\u202egpj.exe", "a\\u{202e}gpj.exe"),
        ("a\u2066b\u2069", "a\\u{2066}b\\u{2069}"),
        ("olla\u200bma", "olla\\u{200b}ma"),
        ("no\u00a0break", "no\\u{00a0}break"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("half \udc80", "half \\u{dc80}"),
        ("\\u{0041}", "\\\\u{0041}"),
        ("Müller", "Müller"),
        ("e\u0301", "e\\u{0301}"),
    ],
)
def test_every_character_is_seen(value: str, seen: str) -> None:
    assert visible(value).split("  [")[0] == seen


@pytest.mark.parametrize(
    ("value", "code"),
    [("оllama", "U+043E CYRILLIC"), ("οllama", "U+03BF GREEK"), ("ｏllama", "U+FF4F FULLWIDTH"), ("ⅼlama", "U+217C")],
)
def test_letters_that_look_like_others_are_named(value: str, code: str) -> None:
    assert code in visible(value)


def test_a_long_value_is_shown_whole_with_its_length_and_digest() -> None:
    seen = visible("x" * 5000)
    assert seen.startswith("x" * 5000)
    assert "5000 characters, sha256 " in seen


def test_a_line_has_no_second_line_in_it() -> None:
    assert all(line.isprintable() for line in Shown.of(purpose="a\nproof: granted\x85\u2028b", seconds=3.0).lines())


def test_each_argument_makes_another_digest() -> None:
    those = [
        Shown.of(a="1", b="2"),
        Shown.of(a="1", b="3"),
        Shown.of(b="2", a="1"),
        Shown.of(a="1"),
        Shown.of(a='1", "b: 2'),
        Shown.of(a=["1", "2"]),
        Shown.of(a=["1, 2"]),
        Shown.of(a=True),
    ]
    assert len({one.digest for one in those}) == len(those)
