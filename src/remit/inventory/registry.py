"""The ports through which inventory is kept; `storage/` implements them."""

from collections.abc import Sequence
from typing import Protocol

from remit.inventory.workload import Human, Workload


class Workloads(Protocol):
    """Keeps workloads, one for each SPIFFE ID."""

    def workloads(self) -> Sequence[Workload]: ...
    def save_workload(self, workload: Workload) -> None: ...


class Humans(Protocol):
    """Keeps the map from people to their pseudonyms; shredding a row makes the pseudonym nobody's."""

    def humans(self) -> Sequence[Human]: ...
    def save_human(self, human: Human) -> None: ...
