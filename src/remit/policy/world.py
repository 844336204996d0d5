"""The entities a snapshot speaks of, as Cedar's handle: built once, reused by every decision."""

import json
from collections import OrderedDict
from typing import Final

import cedarpy

from remit.identity import SpiffeId
from remit.inventory import Workload
from remit.policy.question import USER, entities, person_entity, workload_entity
from remit.policy.snapshot import Snapshot

MAX_PERSONS: Final = 64  # handles kept for people's processes; each is a copy of the base (0.7 ms at 1,000 workloads)


class World:
    """Workloads and their owners. Callers that are no workload are added when they first call."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.trust_domain = snapshot.trust_domain
        self.workloads: dict[SpiffeId, Workload] = {row.spiffe_id: row for row in snapshot.workloads}
        self._base = entities([workload_entity(row) for row in snapshot.workloads])
        self._persons: OrderedDict[tuple[SpiffeId, str], cedarpy.Entities] = OrderedDict()

    def same_as(self, snapshot: Snapshot) -> bool:
        """Whether `snapshot` speaks of exactly these workloads."""
        return snapshot.trust_domain == self.trust_domain and tuple(self.workloads.values()) == snapshot.workloads

    def knows(self, principal: SpiffeId, *, enrolled: bool) -> bool:
        """Whether this may act here: an enrolled workload of this world, or a person of this trust domain."""
        if enrolled or principal in self.workloads:
            return enrolled and principal in self.workloads
        return principal.trust_domain == self.trust_domain and principal.path.startswith(f"/{USER}/")

    def entities(self, principal: SpiffeId, owner: str, *, enrolled: bool) -> cedarpy.Entities:
        """The entities to decide by; raises ValueError when the person's name is no Unicode."""
        if enrolled:
            return self._base
        key = (principal, owner)
        found = self._persons.get(key)
        if found is None:
            found = self._base.with_added_json_str(json.dumps([person_entity(principal, owner)]))
            self._persons[key] = found
            if len(self._persons) > MAX_PERSONS:
                self._persons.popitem(last=False)
        else:
            self._persons.move_to_end(key)
        return found
