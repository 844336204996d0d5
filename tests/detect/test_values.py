"""What stands beside a name for secrets and is none: code, words, paths, alphabets; and what leads to a secret."""

import pytest

from remit.detect import Detector
from remit.detect.checks import is_value, random_enough

DETECTOR = Detector()
LONG = "A1b2C3d4E5f6G7h8I9j0K1m2N3p4Q5r6S7t8"


@pytest.mark.parametrize(
    "text",
    [
        *("$DB_PASSWORD", "%PASSWORD%", "<your-key>", "{{ token }}", "os.environ", "secrets.TOKEN_2", "none"),
        *("https://example.net/1", "your_api_key_1", "changeme1", "REDACTED1", "xxxx-1234", "placeholder1"),
        *("correct-horse-42", "id-Gost28147-89-None-KeyMeshing", "a.b.c", "****", "-----"),
        *("/en/server@3.0/auth", "cms/sites/passwords#update", "ops_eyJzaWdu5W5B.."),
        *("0123456789abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
    ],
)
def test_what_people_write_where_a_secret_would_stand_is_no_value(text: str) -> None:
    assert not is_value(text)


@pytest.mark.parametrize(
    "text", ["hunter2x", "Tr0ub4dor!", "super$ecret", LONG, "aB3/xK9/qW2", "Correct-h0rse-Battery"]
)
def test_what_may_be_a_secret_is_a_value(text: str) -> None:
    assert is_value(text)


def test_hostile_words_are_told_from_values_at_once() -> None:
    for unit in ("a", "aA", "a-", "a1-", "a/", "Aa1-", "a.", "_/"):
        is_value(unit * 20_000 + "!")


@pytest.mark.parametrize("text", ["", "ab", "aab", "abc" * 40, "a" * 63 + "b", LONG, LONG * 9, "abcdefgh" * 3])
def test_randomness_is_shannons(text: str) -> None:
    import math

    shares = [text.count(char) / len(text) for char in set(text)]
    bits = -sum(share * math.log2(share) for share in shares)
    if text:
        assert random_enough(text, bits)
        assert not random_enough(text, bits + 0.01)


@pytest.mark.parametrize(
    ("secret", "no_secret"),
    [
        (f"token = {LONG}", f"publicToken = {LONG}"),
        (f"key = {LONG}", f"public_key = {LONG}"),
        (f"token={LONG}", f"csrf-token={LONG}"),
        (f"1029384756:AA{LONG}", f"foo:AA{LONG}"),
        ("/EZAK" + "A1b2C3" * 9, "6fNUXA9rYqRvfQ9x/EZAK" + "A1b2C3" * 9),
        ("in AKIA" + "A2B3C4D5E6F7G2H3", "in AKIA" + "A2B3C4D5EXAMPLE3"),
    ],
)
def test_the_same_value_is_judged_by_what_leads_to_it(secret: str, no_secret: str) -> None:
    assert DETECTOR.scan(secret)
    assert not DETECTOR.scan(no_secret)
