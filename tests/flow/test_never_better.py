"""Properties of provenance, on generated texts: only the words themselves make a value better, in any order."""

import itertools
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.flow import ArgumentClass, Origin, Transcript, best
from remit.flow.origin import HEARD
from remit.flow.transcript import LIMITS

VALUES: Final = (
    "bob@x.example",
    "Anna",
    "https://x.example/a",
    "GB29NWBK60161331926819",
    "/srv/a.txt",
    "a b",
    "12.50",
)
ODD: Final = (
    *("bob@", "x.example", "Ann", "\u0410nna", "An\u200bna", "\\u0041nna", "\uff21nna", "bob%40x.example", "a", "b"),
    *("https://x.example/a/b", "GB29 NWBK 6016 1331 9268 19", "/srv//a.txt", "12,50", "\n", '"', "<", "\\", "/", "."),
)
WORDS: Final = st.sampled_from([*VALUES, *ODD])
TEXTS: Final = st.lists(WORDS, max_size=6).flatmap(
    lambda words: st.sampled_from(["", " ", "\t"]).map(lambda between: between.join(words))
)
MESSAGES: Final = st.lists(st.tuples(TEXTS, st.sampled_from(HEARD)), max_size=6)
KINDS: Final = st.sampled_from(ArgumentClass)
ANY: Final = st.sampled_from(VALUES) | TEXTS | st.text(max_size=12)
RANK: Final = {origin: rank for rank, origin in enumerate(Origin)}


def told(messages: list[tuple[str, Origin]]) -> Transcript:
    transcript = Transcript()
    for text, origin in messages:
        transcript.hear(text, origin)
    return transcript


@given(MESSAGES, st.tuples(TEXTS, st.sampled_from(HEARD)), ANY, KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_message_gives_a_value_no_better_standing_than_its_own_origin(
    messages: list[tuple[str, Origin]], last: tuple[str, Origin], value: str, kind: ArgumentClass
) -> None:
    before = told(messages).origins(value, kind)
    after = told([*messages, last]).origins(value, kind)
    assert before <= after <= before | {last[1]}
    if best(after) is not best(before):
        assert told([last]).origins(value, kind) == {last[1]}, "only what the message itself says counts"
        assert best(after) is last[1]


@given(MESSAGES, ANY, KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_order_of_messages_does_not_matter(
    messages: list[tuple[str, Origin]], value: str, kind: ArgumentClass
) -> None:
    one = told(messages).origins(value, kind)
    assert all(
        told(list(other)).origins(value, kind) == one
        for other in itertools.islice(itertools.permutations(messages), 6)
    )


@given(TEXTS, st.text(max_size=12), KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_but_ascii_said_by_a_person_vouches_for_a_value_that_is_not(
    text: str, value: str, kind: ArgumentClass
) -> None:
    if text.isascii() and "\\u" not in text and "xn--" not in value and not value.strip().isascii():
        assert told([(text, Origin.HUMAN)]).origins(value, kind) == frozenset()


@given(st.lists(st.tuples(st.text(max_size=2_000), st.sampled_from(HEARD)), max_size=20))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_kept_is_within_bounds(messages: list[tuple[str, Origin]]) -> None:
    transcript = told(messages)
    assert all(shelf.size <= LIMITS[origin] for origin, shelf in transcript.shelves.items())
    assert not transcript.full
