"""The entities a snapshot speaks of, as Cedar's handle: built once, reused by every decision."""

import json
from collections import OrderedDict
from typing import Final

import cedarpy

from remit.identity import SpiffeId
from remit.inventory import Enrolled, Workload
from remit.policy.question import USER, entities, person_entity, workload_entity
from remit.policy.schema import schema
from remit.policy.snapshot import Snapshot
from remit.policy.thing import EVERY_UNKNOWN, Thing, ThingKind

MAX_PERSONS: Final = 64  # handles kept for people's processes; each is a copy of the base (0.7 ms at 1,000 workloads)


class World:
    """Workloads and their owners, and what the catalogue lists.

    Callers that are no workload are added when they first call.

    `before` is the world of the snapshot before: what is the same in both is not made again. At 10,000 workloads a
    world made anew takes 0.5 s.
    """

    def __init__(self, snapshot: Snapshot, listed: tuple[Thing, ...] = (), before: "World | None" = None) -> None:
        self.trust_domain = snapshot.trust_domain
        self.things = {(one.kind, one.id): one for one in listed}
        self._persons: OrderedDict[tuple[SpiffeId, str], cedarpy.Entities] = OrderedDict()
        another = before is None or before.trust_domain != snapshot.trust_domain or before.things != self.things
        if before is None or another or not self._take_over(before, snapshot):
            self.workloads = Enrolled(snapshot.workloads)
            rows = [workload_entity(row) for row in snapshot.workloads]
            self._base = entities([*rows, *(one.to_entity() for one in (*EVERY_UNKNOWN, *self.things.values()))])

    def _take_over(self, before: "World", snapshot: Snapshot) -> bool:
        """Make this world of `before`; False when it must be made anew: a workload left, or is another to Cedar."""
        changed = [row for row in snapshot.workloads if before.workloads.get(row.spiffe_id) is not row]
        fresh = [row for row in changed if row.spiffe_id not in before.workloads]
        if not before.workloads.keys() <= {row.spiffe_id for row in snapshot.workloads}:
            return False
        if any(not _same_entity(before.workloads.get(row.spiffe_id), row) for row in changed):
            return False
        self.workloads = before.workloads.copy()
        self.workloads.update({row.spiffe_id: row for row in changed})
        if fresh:  # cedarpy joins what is disjoint: it can't replace or take away
            added = json.dumps([workload_entity(row) for row in fresh])
            self._base = before._base.with_added_json_str(added, schema())
        else:
            self._base, self._persons = before._base, before._persons
        return True

    def same_as(self, snapshot: Snapshot, listed: tuple[Thing, ...]) -> bool:
        """Whether `snapshot` speaks of exactly these workloads, and the catalogue lists the same."""
        same = snapshot.trust_domain == self.trust_domain and tuple(self.things.values()) == listed
        return same and tuple(self.workloads.values()) == snapshot.workloads

    def thing(self, kind: ThingKind, named: str) -> Thing:
        """What the catalogue lists under that name; else what stands for all that it doesn't."""
        return self.things.get((kind, named)) or Thing.unknown(kind)

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


def _same_entity(before: Workload | None, after: Workload) -> bool:
    return before is None or workload_entity(before) == workload_entity(after)
