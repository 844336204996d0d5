"""What an enforcement point asks in its own words: properties as facts, and what the catalogue says over them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.policy.access import MAX_FACTS, Access, facts, over, pairs, same


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
