"""What changed from one Snapshot to the next, for a worker that has the one before: 10,000 workloads are 8 MB."""

import dataclasses
from dataclasses import dataclass

from remit.errors import ProtocolError
from remit.identity import SpiffeId
from remit.inventory import Workload
from remit.policy.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Changes:
    """The next Snapshot, seen from that of epoch `since`.

    `part` is all of it but its workloads, of which it has those that are new or other than before, and its policy
    files, of which it has none when they are the same. `gone` are the workloads that left.
    """

    since: int
    part: Snapshot
    gone: tuple[SpiffeId, ...]

    @classmethod
    def between(cls, before: Snapshot, after: Snapshot) -> "Changes | None":
        """What leads from one to the other; None when only the whole Snapshot says it."""
        if not after.policy_files:
            return None
        old = {row.spiffe_id: row for row in before.workloads}
        new = {row.spiffe_id for row in after.workloads}
        put = tuple(row for row in after.workloads if not _same(old.get(row.spiffe_id), row))
        part = dataclasses.replace(
            after,
            workloads=put,
            policy_files=() if after.policy_files == before.policy_files else after.policy_files,
        )
        changes = cls(before.epoch, part, tuple(spiffe_id for spiffe_id in old if spiffe_id not in new))
        return changes if changes.onto(before).workloads == after.workloads else None  # the order may differ

    def onto(self, before: Snapshot) -> Snapshot:
        """The next Snapshot, whole. Raises ProtocolError when `before` is not the one that these are seen from."""
        rows = {row.spiffe_id: row for row in before.workloads}
        if before.epoch != self.since or not rows.keys() >= set(self.gone):
            raise ProtocolError(f"changes since epoch {self.since} don't fit the snapshot of epoch {before.epoch}")
        for spiffe_id in self.gone:
            del rows[spiffe_id]
        rows.update({row.spiffe_id: row for row in self.part.workloads})
        files = self.part.policy_files or before.policy_files
        return dataclasses.replace(self.part, workloads=tuple(rows.values()), policy_files=files)


def _same(before: Workload | None, after: Workload) -> bool:
    return before is after or before == after  # a dataclass compares its fields one by one, also with itself
