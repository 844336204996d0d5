"""How often people are asked: not again after a no, not without end, and what is asked daily belongs in a profile."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from remit.errors import RemitError
from remit.tasks import ApprovalRequest
from remit.tasks.approval_matter import Matter
from remit.tasks.approval_request import RequestState

HOUR: Final = 3600.0
MAX_OPEN: Final = 64  # requests that wait at once; each holds at most 256 KiB of arguments
MAX_OPEN_OF_ONE: Final = 8  # of one caller
MAX_AGREED: Final = 256  # requests that were agreed to and not used up: some are good for as long as their task
MAX_WAITING: Final = 64  # calls for the same answer
SUGGEST_AFTER: Final = 3  # equal in action and thing, agreed to within what is kept
_AGREED: Final = frozenset({RequestState.APPROVED, RequestState.SPENT})


class QuietError(RemitError):
    """Nobody is asked: people have been asked enough."""

    exit_code = 3


class QuietLimits:
    """Of one instance. Times are by a clock that nobody sets, in seconds. `per_hour` new requests of one caller."""

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._denied: dict[str, float] = {}
        self._asked: dict[tuple[str, str], deque[float]] = {}

    def deny(self, binding: str, now: float, seconds: float) -> None:
        """A person said no to exactly this: it is not asked again for so long."""
        self._denied = {key: until for key, until in self._denied.items() if now < until}
        self._denied[binding] = now + seconds

    def denied(self, binding: str, now: float) -> bool:
        return now < self._denied.get(binding, 0.0)

    def check(self, matter: Matter, waiting: Sequence[Matter], agreed: int, now: float) -> None:
        """Counts one more request of this caller beside those that wait; raises QuietError for one too many."""
        who = (matter.workload, matter.human)
        of_one = sum((one.workload, one.human) == who for one in waiting)
        if len(waiting) >= MAX_OPEN or of_one >= MAX_OPEN_OF_ONE:
            raise QuietError(f"{of_one} other requests of this caller wait for people already")
        if agreed >= MAX_AGREED:
            raise QuietError(f"{agreed} requests are agreed to and not used up yet")
        self._forget(now)
        asked = self._asked.setdefault(who, deque())
        if len(asked) >= self._per_hour:
            raise QuietError(f"people were asked {self._per_hour} times within an hour for this caller")
        asked.append(now)

    @staticmethod
    def check_waiting(waiting: int) -> None:
        """Raises QuietError when so many calls wait for the same answer already."""
        if waiting >= MAX_WAITING:
            raise QuietError(f"{MAX_WAITING} calls wait for the same answer already")

    def _forget(self, now: float) -> None:
        for who, asked in list(self._asked.items()):
            while asked and asked[0] <= now - HOUR:
                asked.popleft()
            if not asked:
                del self._asked[who]


def suggestion(request: ApprovalRequest, kept: Iterable[ApprovalRequest]) -> str:
    """What to change instead of answering once more; empty while it is no habit."""
    same = [one for one in kept if one.state in _AGREED and _alike(one) == _alike(request) and one.id != request.id]
    if len(same) < SUGGEST_AFTER:
        return ""
    what, profile = request.summary["thing"], request.summary.get("profile")
    where = f"profile `{profile}`" if profile else "a profile of its tasks"
    return f"agreed to {len(same)} times lately: let {where} list `{what}`, as narrowly as it is used, instead"


def _alike(request: ApprovalRequest) -> tuple[object, ...]:
    said = request.summary
    return said["action"], said["thing"], said.get("destination"), said.get("profile"), request.requesters
