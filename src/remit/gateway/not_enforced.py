"""What went through here though policies would have refused it: counted, and told to control twice a second."""

from collections.abc import Callable
from typing import Final

from remit.identity import SpiffeId
from remit.policy import Action, Intent, Permit
from remit.policy.link import Observed

MAX_KINDS: Final = 256  # between two tellings; more are counted together

_Kind = tuple[str, Action, SpiffeId]
_OTHERS: Final = "others"


class NotEnforced:
    """The number of each kind since they were told last, with the newest decision."""

    def __init__(self) -> None:
        self._seen: dict[_Kind, tuple[int, str]] = {}

    def count(self, intent: Intent | None, permit: Permit | None) -> None:
        """Count a decision under each rule that would have refused it."""
        if intent is None or permit is None:
            return
        for policy in permit.observed:
            kind = (policy.id, intent.action, intent.resource)
            if kind not in self._seen and len(self._seen) >= MAX_KINDS:
                kind = (_OTHERS, intent.action, intent.resource)
            number, _ = self._seen.get(kind, (0, ""))
            self._seen[kind] = (number + 1, permit.decision_id)

    def tell(self, told: Callable[[Observed], None]) -> None:
        """All that was counted, each kind once; then count anew."""
        seen, self._seen = self._seen, {}
        for (rule, action, workload), (number, newest) in seen.items():
            told(Observed(rule, action, workload, number, newest))
