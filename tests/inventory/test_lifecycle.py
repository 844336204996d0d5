"""The life of a workload: every state with every verb and every actor, and the page that is drawn from the table."""

import dataclasses
import itertools
import re

import pytest

from remit.identity import SpiffeId
from remit.inventory import Capability, Kind, LifeState, Workload
from remit.inventory.lifecycle import (
    FINAL,
    TABLE,
    Actor,
    LifecycleError,
    Verb,
    diagram,
    moved,
    possible,
    rows,
    standing,
    transition,
)
from tests.docs.pages import blocks, text

# Written out, not drawn from the table: a second opinion.
LEGAL = {
    ("discovered", "own"): "owned",
    ("owned", "activate"): "active",
    ("active", "suspend"): "suspended",
    ("suspended", "resume"): "active",
    ("owned", "transfer"): "owned",
    ("active", "transfer"): "active",
    ("suspended", "transfer"): "suspended",
    ("discovered", "retire"): "retired",
    ("owned", "retire"): "retired",
    ("active", "retire"): "retired",
    ("suspended", "retire"): "retired",
}
NOT_BY_REMIT = {"resume", "transfer", "retire"}
EVERY = list(itertools.product(LifeState, Verb, Actor))


def a_workload(state: LifeState = LifeState.ACTIVE, owner: str = "ada") -> Workload:
    return Workload(
        spiffe_id=SpiffeId.parse("spiffe://maple.local/inference/llama-8080"),
        name="llama-8080",
        kind=Kind.MODEL_SERVER,
        owner=owner,
        server="llama.cpp",
        upstream="http://127.0.0.1:8080",
        reach="loopback",
        capabilities=(Capability.STORE,),
        state=state,
    )


@pytest.mark.parametrize(("state", "verb", "actor"), EVERY, ids=str)
def test_every_state_with_every_verb_by_everyone(state: LifeState, verb: Verb, actor: Actor) -> None:
    workload = a_workload(state)
    after = LEGAL.get((state.value, verb.value))
    if after is None or (actor is Actor.REMIT and verb.value in NOT_BY_REMIT):
        with pytest.raises(LifecycleError, match="llama-8080"):
            moved(workload, verb, actor, now=5.0, owner="bob")
        return
    since = 0.0 if verb is Verb.TRANSFER else 5.0
    owner = "bob" if verb in {Verb.OWN, Verb.TRANSFER} else "ada"
    assert moved(workload, verb, actor, now=5.0, owner="bob") == dataclasses.replace(
        workload, state=LifeState(after), state_since=since, owner=owner
    )
    ends = after in {"suspended", "retired"} or verb is Verb.TRANSFER
    assert transition(workload, verb, actor).effect.ends == ends


@pytest.mark.parametrize("state", LifeState, ids=str)
def test_a_refusal_says_why_and_what_is_possible_instead(state: LifeState) -> None:
    for verb in Verb:
        if verb in possible(state):
            continue
        with pytest.raises(LifecycleError) as refused:
            moved(a_workload(state), verb, Actor.OWNER, now=5.0, owner="ada")
        assert f"`llama-8080` is {state}" in str(refused.value)
        assert all(one in refused.value.hint for one in possible(state))
        assert refused.value.hint
        assert refused.value.exit_code == 3


def test_retired_is_final() -> None:
    assert possible(FINAL) == ()
    with pytest.raises(LifecycleError, match="is retired, which is final: it can't be resumed"):
        moved(a_workload(LifeState.RETIRED), Verb.RESUME, Actor.OPERATOR, now=5.0)


def test_remit_never_gives_back_what_was_taken() -> None:
    with pytest.raises(LifecycleError, match=r"can be resumed by its owner or root .*, not by Remit"):
        moved(a_workload(LifeState.SUSPENDED), Verb.RESUME, Actor.REMIT, now=5.0)


def test_a_workload_goes_to_another_person_and_not_to_its_own_or_to_nobody() -> None:
    with pytest.raises(LifecycleError, match="is ada's already"):
        moved(a_workload(), Verb.TRANSFER, Actor.OWNER, now=5.0, owner="ada")
    with pytest.raises(LifecycleError, match="has no owner"):
        moved(a_workload(), Verb.TRANSFER, Actor.OWNER, now=5.0)


def test_nothing_is_owned_or_active_without_an_owner() -> None:
    for state, verb in ((LifeState.DISCOVERED, Verb.OWN), (LifeState.OWNED, Verb.ACTIVATE)):
        with pytest.raises(LifecycleError, match="has no owner"):
            moved(a_workload(state, owner=""), verb, Actor.OPERATOR, now=5.0)
    assert moved(a_workload(LifeState.DISCOVERED, owner=""), Verb.RETIRE, Actor.OPERATOR, now=5.0).owner == ""


def test_the_table_has_one_row_for_each_move_and_reaches_every_state() -> None:
    assert len({(row.verb, row.before) for row in TABLE}) == len(TABLE) == len(LEGAL)
    assert {row.after for row in TABLE} | {LifeState.DISCOVERED} == set(LifeState)


def test_what_a_refused_caller_reads_names_the_state_and_who_can_change_it_and_is_no_command() -> None:
    for state in set(LifeState) - {LifeState.ACTIVE}:
        said = standing(a_workload(state))
        assert f"is {state}" in said
        assert "remit workload" not in said
        assert state is FINAL or "its owner, ada, or root" in said
    assert "root, or whoever runs Remit, owns it" in standing(a_workload(LifeState.DISCOVERED, owner=""))


def test_a_row_from_before_there_was_a_lifecycle_is_active() -> None:
    row = a_workload().to_dict()
    for name in ("state", "state_since", "purpose", "vendor", "data_sets", "zone", "review_due"):
        del row[name]
    assert Workload.from_dict(row) == a_workload()


@pytest.mark.parametrize("state", LifeState, ids=str)
def test_a_workload_is_kept_as_it_is(state: LifeState) -> None:
    workload = dataclasses.replace(
        a_workload(state), purpose="answers tickets", vendor="acme", data_sets=("tickets",), review_due=7.0
    )
    assert Workload.from_dict(workload.to_dict()) == workload


def test_the_page_s_diagram_is_drawn_from_the_table() -> None:
    assert blocks("docs/lifecycle.md", "mermaid") == [diagram()]


def test_the_page_s_table_is_the_table() -> None:
    lines = [line for line in text("docs/lifecycle.md").splitlines() if re.match(r"\| `\w+` \|", line)]
    assert [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines] == rows()
