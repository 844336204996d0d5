"""What a person declares: a workload by its selectors, and facts that nobody can find out."""

import dataclasses
from typing import Any

import pytest

from remit.errors import RemitError, UsageError
from remit.inventory import Capability, Kind, LifeState, Workload
from remit.inventory.registration import MAX_MANY, capabilities, changed, declare, overdue, register
from remit.inventory.selectors import REGISTERED, SelectorsError
from tests.inventory.test_lifecycle import a_workload

SELECTORS = ("unix:uid:1000", "unix:path:/opt/agent")


def registered(name: str = "one", kind: str = "agent", *selectors: str, known: Any = (), **declared: Any) -> Workload:
    return register(
        name,
        kind,
        selectors or SELECTORS,
        declared,
        trust_domain="maple.local",
        environment="dev",
        known=known,
        now=7.0,
    )


@pytest.mark.parametrize(
    ("kind", "spiffe_id", "zone", "can"),
    [
        ("agent", "agent/one", "tools", "act store disclose"),
        ("pipeline", "pipeline/one", "tools", "act store disclose"),
        ("tool_server", "tools/one", "tools", "act disclose"),
        ("retriever", "retrieval/one", "retrieval", "store disclose"),
        ("model_server", "inference/one", "inference", "store disclose"),
    ],
)
def test_its_place_and_class_follow_from_its_kind(kind: str, spiffe_id: str, zone: str, can: str) -> None:
    one = registered("one", kind)
    assert (str(one.spiffe_id), one.zone) == (f"spiffe://maple.local/{spiffe_id}", zone)
    assert " ".join(one.capabilities) == can
    assert (one.state, one.owner, one.found, one.server) == (LifeState.DISCOVERED, "", REGISTERED, "")


def test_the_class_follows_what_is_declared_and_back() -> None:
    tools = registered("one", "tool_server")
    assert Capability.STORE in declare(tools, {"data_sets": ["tickets"]}).capabilities
    server = declare(a_workload(), {"zone": "tools"})
    assert server.capabilities == (Capability.ACT, Capability.STORE, Capability.DISCLOSE)
    assert capabilities(declare(server, {"zone": "inference"})) == (Capability.STORE, Capability.DISCLOSE)


def test_what_changed_is_told_as_it_was_and_is() -> None:
    before = registered(purpose="tickets", data_sets=["a"])
    after = declare(before, {"purpose": "", "data_sets": ["b", "b", ""], "review_due": 9.0, "environment": "prod"})
    assert changed(before, after) == {
        "purpose": ["tickets", ""],
        "data_sets": [["a"], ["b"]],
        "environment": ["dev", "prod"],
        "review_due": [None, 9.0],
    }
    assert changed(after, declare(after, {})) == {}
    assert changed(after, declare(after, {"review_due": None}))["review_due"] == [9.0, None]


def test_a_review_is_overdue_once_its_time_is_over() -> None:
    one = registered(review_due=9.0)
    assert (overdue(one, 9.0), overdue(one, 9.1), overdue(registered(), 9.1)) == (False, True, False)
    assert not overdue(dataclasses.replace(one, state=LifeState.RETIRED), 9.1), "nobody has to look at it again"


@pytest.mark.parametrize("name", ["", "1234", "a/b", "a b", "..", "ünder", "x" * 100, "a\nb"])
def test_names_that_can_t_be_in_an_id_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="can't be a workload's name") as refused:
        registered(name)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("kind", "declared", "problem"),
    [
        ("toaster", {}, "`toaster` is no kind of workload"),
        ("agent", {"environment": "live"}, "`live` is no environment known here"),
        ("agent", {"label": "untrusted"}, "`untrusted` is no label known here"),
        ("agent", {"zone": "moon"}, "`moon` is no zone known here"),
        ("agent", {"purpose": "a\nb"}, "a purpose is too long or has control characters"),
        ("agent", {"vendor": "x" * 201}, "a vendor is too long"),
        ("agent", {"data_sets": ["\x1b[2J"]}, "a data set is too long or has control characters"),
        ("agent", {"owner": "eve"}, "`owner` is no fact that can be declared"),
    ],
)
def test_facts_that_can_t_be_are_refused(kind: str, declared: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as refused:
        registered("one", kind, **declared)
    assert refused.value.hint


def test_a_name_is_given_once_also_over_kinds_and_lives() -> None:
    retired = dataclasses.replace(registered(), state=LifeState.RETIRED)
    for taken, why in ((registered(), "is called `one` already"), (retired, "was called `one`, and its name is not")):
        with pytest.raises(UsageError, match=why):
            registered("one", "tool_server", "unix:path:/opt/other", known=[taken])


def test_selectors_that_could_be_anothers_are_refused() -> None:
    with pytest.raises(SelectorsError, match="match two identities") as refused:
        registered("two", "agent", "unix:uid:1000", known=[registered()])
    assert refused.value.exit_code == 2
    with pytest.raises(RemitError, match=f"{MAX_MANY} selectors at most"):
        registered("two", "agent", *(f"unix:supplementary_gid:{n}" for n in range(MAX_MANY + 1)))


def test_every_kind_has_a_place_and_is_registered() -> None:
    assert {registered(kind.value.replace("_", "-"), kind.value).kind for kind in Kind} == set(Kind)
