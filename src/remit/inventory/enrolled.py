"""The workloads in force: found by their ID, or by what the kernel says of a process, however many there are."""

from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Self, TypeVar, overload

from remit.identity import Process, SpiffeId
from remit.identity.selectors import selectors_of
from remit.inventory.selectors import REGISTERED, workload_of
from remit.inventory.workload import Workload

_Place = str | tuple[int, int]  # a selector; or pid and start, for one that is a process that was enrolled
_Default = TypeVar("_Default")


class Enrolled(MutableMapping[SpiffeId, Workload]):
    """Workloads by their IDs, in the order they came. `of` looks at those few that a process might be.

    Each stands in one place: under a selector that it shares with the fewest others, which every process of its own
    has; or under the pid and start of the process it was enrolled as. One that no process can be stands in none.
    """

    __slots__ = ("_by_place", "_places", "_rows", "_shared")

    def __init__(self, workloads: Iterable[Workload] = ()) -> None:
        self._rows: dict[SpiffeId, Workload] = {}
        self._places: dict[SpiffeId, _Place | None] = {}
        self._by_place: dict[_Place, tuple[Workload, ...]] = {}
        self._shared: Counter[str] = Counter()
        for workload in workloads:
            self[workload.spiffe_id] = workload

    def of(self, process: Process) -> Workload | None:
        """The one workload that `process` is; raises AttestationError as `workload_of` does."""
        places: set[_Place] = {(process.pid, process.start), *selectors_of(process)}
        return workload_of(process, (one for place in places for one in self._by_place.get(place, ())))

    def copy(self) -> Self:
        """The same workloads, to be changed by itself."""
        other = type(self)()
        other._rows, other._places = self._rows.copy(), self._places.copy()
        other._by_place, other._shared = self._by_place.copy(), self._shared.copy()
        return other

    def __setitem__(self, spiffe_id: SpiffeId, workload: Workload) -> None:
        if spiffe_id in self._rows:
            self._leave(self._rows[spiffe_id])
        place = self._place(workload)
        self._rows[spiffe_id], self._places[spiffe_id] = workload, place
        self._shared.update(workload.selectors)
        if place is not None:
            self._by_place[place] = (*self._by_place.get(place, ()), workload)

    def __delitem__(self, spiffe_id: SpiffeId) -> None:
        self._leave(self._rows[spiffe_id])
        del self._rows[spiffe_id], self._places[spiffe_id]

    def _place(self, workload: Workload) -> _Place | None:
        if not workload.selectors:
            return None
        if workload.found == REGISTERED:
            return min(workload.selectors, key=self._shared.__getitem__)
        known = workload.pid is not None and workload.start is not None
        return (workload.pid, workload.start) if known else None  # type: ignore[return-value] # checked just above

    def _leave(self, workload: Workload) -> None:
        place = self._places[workload.spiffe_id]
        for selector in workload.selectors:
            self._shared[selector] -= 1
            if not self._shared[selector]:
                del self._shared[selector]
        if place is None:
            return
        left = tuple(one for one in self._by_place[place] if one is not workload)
        if left:
            self._by_place[place] = left
        else:
            del self._by_place[place]

    def __getitem__(self, spiffe_id: SpiffeId) -> Workload:
        return self._rows[spiffe_id]

    @overload
    def get(self, spiffe_id: SpiffeId, default: None = None, /) -> Workload | None: ...
    @overload
    def get(self, spiffe_id: SpiffeId, default: Workload | _Default, /) -> Workload | _Default: ...
    def get(self, spiffe_id: SpiffeId, default: object = None, /) -> object:
        """As a dict's: every decision asks this."""
        return self._rows.get(spiffe_id, default)

    def __contains__(self, spiffe_id: object) -> bool:
        return spiffe_id in self._rows

    def __iter__(self) -> Iterator[SpiffeId]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
