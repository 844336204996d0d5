"""A state directory has one source of identity, for good."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from remit.control.settled import refuse_without_spire, settle_with_spire
from remit.errors import StateError
from remit.identity import SpiffeId
from remit.storage import Store
from tests.policy.worlds import LLAMA, workload


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.db")) as opened:
        yield opened


def test_what_came_from_spire_does_not_get_an_authority_of_its_own(store: Store) -> None:
    refuse_without_spire(store)
    assert settle_with_spire("example.org", store) == "example.org"
    assert settle_with_spire("example.org", store) == "example.org"
    with pytest.raises(StateError, match="came from SPIRE"):
        refuse_without_spire(store)


def test_workloads_of_another_trust_domain_are_not_taken_along(store: Store) -> None:
    store.save_workload(workload(LLAMA))
    assert settle_with_spire("maple.local", store) == "maple.local"
    store.save_workload(workload(SpiffeId.of("other.example", "inference", "b")))
    with pytest.raises(StateError, match=r"workloads that are kept here of `other.example`"):
        settle_with_spire("maple.local", store)
