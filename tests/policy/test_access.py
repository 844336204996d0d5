"""What an enforcement point asks in its own words: properties as facts, and what the catalogue says over them."""

import dataclasses
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.policy import Action, Engine, PolicyFile, explain
from remit.policy.access import MAX_FACTS, Access, facts, over, pairs, same
from remit.policy.circumstances import Circumstances
from remit.policy.learn import learn
from remit.policy.thing import ThingKind
from tests.policy.test_replay import NAMES, decided
from tests.policy.worlds import NOW, TD, curl, intent, sid, snapshot


def test_properties_are_keys_with_each_of_their_values() -> None:
    said = {"roles": ["admin", "editor"], "soft": True, "size": 3, "at": {"city": "ulm"}, "none": None}
    assert facts(pairs(said)) == ("at.city=ulm", "roles=admin", "roles=editor", "size=3", "soft=true")


def test_of_a_key_that_the_catalogue_lists_it_alone_counts() -> None:
    listed, said = pairs({"role": "viewer"}), pairs({"role": "admin", "team": "blue"})
    assert facts(over(listed, said)) == ("role=viewer", "team=blue")


def test_what_both_have() -> None:
    who, what = (
        pairs({"email": "rick@x.example", "team": "blue"}),
        pairs({"ownerID": "rick@x.example", "team": "red"}),
    )
    assert same(who, what) == ("email=ownerID",)


@pytest.mark.parametrize(
    "said", [{str(n): n for n in range(MAX_FACTS + 1)}, {"a": "x" * 600}, {"a": {"b": {"c": {"d": {"e": 1}}}}}]
)
def test_more_than_is_looked_at_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"more than|too deeply"):
        pairs(said)


def test_what_has_all_too_much_in_common_is_refused() -> None:
    one, other = ({f"{side}{n}": "yes" for n in range(17)} for side in "ab")
    with pytest.raises(ValueError, match="more than 256"):
        same(pairs(one), pairs(other))


def test_what_a_point_says_at_length_is_not_kept() -> None:
    """Each is another decision, and 4,096 are kept: by what is said they would have any size."""
    decides = Engine(snapshot('@id("a") permit (principal, action == Action::"access", resource);'))
    thing = decides.thing(ThingKind.RESOURCE, "record/1")
    tracemalloc.start()
    try:
        for number in range(200):
            access = Access("view", "user/a", "record/1", says=tuple(f"{number}-{n}={'x' * 480}" for n in range(40)))
            so = Circumstances(access=access)
            asked = dataclasses.replace(
                intent(), action=Action.ACCESS, resource=sid(), thing=thing, circumstances=so, model=None
            )
            decides.decide(asked, NOW, "d")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")),
)
def test_what_is_said_never_takes_from_what_is_listed(listed: dict[str, object], said: dict[str, object]) -> None:
    both = over(pairs(listed), pairs(said))
    assert pairs(listed) <= both
    assert {value for key, value in both if key in listed} == {str(value) for value in listed.values()}


def test_as_the_schema_has_it() -> None:
    assert Access("view", "user/a", "record/1").to_json()["subject"] == {
        "__entity": {"type": "Subject", "id": "unknown"}
    }


CATALOGUE = PolicyFile("catalogue.toml", '[resource."record/1"]\n')
VIEWS = PolicyFile("p.cedar", '@id("v")\npermit (principal, action == Action::"access", resource);')


def viewed() -> dict[str, Any]:
    """A decision in a point's own words, as the log has it."""
    engine = Engine(snapshot(files=[CATALOGUE, VIEWS]))
    asked = dataclasses.replace(
        intent(Action.ACCESS, curl("ada"), sid()),
        thing=engine.thing(ThingKind.RESOURCE, "record/1"),
        circumstances=Circumstances(access=Access("view", "user/zoe", "record/1")),
    )
    return decided(engine, asked)


def test_what_one_user_was_shown_is_not_learned_as_a_permit_for_all() -> None:
    """Neither whose it was nor what was asked is in the log."""
    row = viewed()
    assert (row["outcome"], "zoe" in str(row)) == ("allowed", False)
    learned = learn([row], NAMES, TD)
    assert (learned.policies, learned.skipped) == (0, 1)


def test_the_log_s_reader_names_the_thing() -> None:
    assert explain(viewed(), NAMES).startswith("allowed   access on record/1 by ")
