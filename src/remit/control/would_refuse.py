"""What policies would have refused, had they been enforced: counted since this instance runs, as gateways tell."""

from collections.abc import Iterable
from typing import Any, Final

from remit.control.roles import Reach, Role
from remit.control.workers import Worker
from remit.identity import SpiffeId
from remit.inventory import Workload
from remit.policy.intent import Action
from remit.policy.link import Observed

MAX_KINDS: Final = 1_024
SHOWN: Final = 20
_OTHERS: Final = "others"

_Kind = tuple[str, Action, SpiffeId]


class WouldRefuse:
    """The number of each kind, and the newest decision."""

    def __init__(self) -> None:
        self._seen: dict[_Kind, tuple[int, str]] = {}

    async def take(self, _worker: Worker, told: Observed) -> None:
        kind = (told.rule, told.action, told.workload)
        if kind not in self._seen and len(self._seen) >= MAX_KINDS:
            kind = (_OTHERS, told.action, told.workload)
        number, _ = self._seen.get(kind, (0, ""))
        self._seen[kind] = (number + told.number, told.newest)

    def shown(self, workloads: Iterable[Workload], reach: Reach) -> dict[str, Any]:
        """The total and the most frequent, of servers that somebody of that reach sees."""
        names = {one.spiffe_id: one.name for one in workloads if reach.sees(one.owner, one.uid)}
        all_seen = reach.role is not Role.PERSON  # also of things, and of servers that left
        rows = [
            {"rule": rule, "action": action.value, "on": names.get(on, str(on)), "number": number, "newest": newest}
            for (rule, action, on), (number, newest) in self._seen.items()
            if all_seen or on in names
        ]
        rows.sort(key=lambda row: (-int(str(row["number"])), str(row["rule"])))
        return {"number": sum(int(str(row["number"])) for row in rows), "most": rows[:SHOWN]}
