"""A request for an approval: its states are a table, and what is agreed to is used no more often than was agreed."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import RemitError
from remit.tasks.approval_request import NEXT, ApprovalError, ApprovalRequest, Extent, RequestState

NOW = 1000.0
SET = "sha256:aa"


def request(task: str | None = None) -> ApprovalRequest:
    return ApprovalRequest(
        "ap-1", "hmac-sha256:00", SET, "owner", task, ("p-1",), {"action": "infer"}, NOW, NOW + 900
    )


def approved(extent: Extent = Extent.ONCE, *, uses: int = 1, task: str | None = "t-1") -> ApprovalRequest:
    return request(task).approved("p-2", extent, NOW + 1, proof="password", why="", until=NOW + 9000, uses=uses)


MOVES: dict[str, Callable[[ApprovalRequest], ApprovalRequest]] = {
    "approve": lambda one: one.approved("p-2", Extent.ONCE, NOW + 2, proof="uid", why="", until=0.0),
    "deny": lambda one: one.denied("p-2", NOW + 2, "no"),
    "expire": lambda one: one.expired(),
    "withdraw": lambda one: one.withdrawn("gone"),
    "spend": lambda one: one.spent(SET, NOW + 2),
}


def in_state(state: RequestState) -> ApprovalRequest:
    begun = request()
    made: dict[RequestState, Callable[[], ApprovalRequest]] = {
        RequestState.PENDING: lambda: begun,
        RequestState.APPROVED: approved,
        RequestState.DENIED: lambda: begun.denied("p-2", NOW + 1, ""),
        RequestState.EXPIRED: begun.expired,
        RequestState.SPENT: lambda: approved().spent(SET, NOW + 1),
        RequestState.WITHDRAWN: lambda: begun.withdrawn(""),
    }
    return made[state]()


@pytest.mark.parametrize("state", list(RequestState))
@pytest.mark.parametrize("move", list(MOVES))
def test_nothing_moves_but_as_the_table_says(state: RequestState, move: str) -> None:
    one = in_state(state)
    assert one.state is state
    to = NEXT.get((state, move))
    if to is None:
        with pytest.raises(ApprovalError):
            MOVES[move](one)
    else:
        assert MOVES[move](one).state is to


@pytest.mark.parametrize("state", list(RequestState))
def test_what_is_kept_is_what_it_was(state: RequestState) -> None:
    one = in_state(state)
    assert ApprovalRequest.from_dict(one.to_dict()) == one


@given(st.integers(0, 20), st.sampled_from([Extent.ONCE, Extent.WAITING]), st.integers(0, 30))
def test_it_is_used_no_more_often_than_was_agreed(waiting: int, extent: Extent, tries: int) -> None:
    one, used = approved(extent, uses=waiting), 0
    for _ in range(tries):
        try:
            one = one.spent(SET, NOW + 5)
        except RemitError:
            break
        used += 1
    assert used <= (max(1, waiting) if extent is Extent.WAITING else 1)


def test_for_the_rest_of_its_task_it_is_good_until_that_ends() -> None:
    one = approved(Extent.TASK)
    for _ in range(5):
        one = one.spent(SET, NOW + 8000)
    with pytest.raises(ApprovalError):
        one.spent(SET, NOW + 9000)
    with pytest.raises(ApprovalError, match="outside a task"):
        approved(Extent.TASK, task=None)


def test_an_approval_is_of_the_policies_that_asked_for_it() -> None:
    with pytest.raises(ApprovalError):
        approved().spent("sha256:bb", NOW + 2)


def test_nobody_agrees_to_what_is_over_and_nothing_goes_on_by_it() -> None:
    with pytest.raises(ApprovalError, match="nobody answered in time"):
        request().approved("p-2", Extent.ONCE, NOW + 900, proof="uid", why="", until=0.0)
    with pytest.raises(ApprovalError):
        approved().spent(SET, NOW + 1 + 300)
