"""Break-glass as a gateway decides by it: one person, until a time, above what the policy files say. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from remit.identity import Caller, Process, Proof
from remit.inventory import Workload
from remit.inventory.selectors import REGISTERED
from remit.policy.permit import PolicyRef

BREAK_GLASS: Final = "remit:break-glass"  # no file's policy can have this id: `:` is not allowed in one
HEADER: Final = "remit-break-glass"
BUILT_IN: Final = "built in"
_KERNEL: Final = frozenset({Proof.UNIX, Proof.LOOPBACK})


@dataclass(frozen=True, slots=True)
class Emergency:
    """While break-glass is open. `until` is Unix seconds, `said` what every reply says of it: safe in a header."""

    id: str
    human: str
    until: float
    said: str

    def covers(self, caller: Caller, now: float) -> bool:
        """Whether this is the person's own process, all that hold its connection known.

        Not a workload of theirs, nor one in a task: a task only ever narrows.
        """
        own = caller.human == self.human and not caller.enrolled and caller.proof in _KERNEL
        free = caller.task is None and caller.process is not None and caller.process.task is None
        return own and free and caller.exhaustive and now < self.until

    def policy(self) -> PolicyRef:
        """What stands as the deciding policy in permits and records."""
        return PolicyRef(BREAK_GLASS, BUILT_IN, 1, self.said)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def by_break_glass(policies: tuple[PolicyRef, ...]) -> bool:
    """Whether these are what break-glass decided by."""
    return any(policy.id == BREAK_GLASS for policy in policies)


def under_one_of(process: Process, workloads: Iterable[Workload]) -> bool:
    """Whether an ancestor may be one of these: the process that was found, or any that was registered by its program.

    In doubt it is. A found server is its process alone: a person's own program may have the same interpreter.
    """
    ancestors = process.parents
    pids = {one.pid for one in ancestors}
    files = {f"unix:path:{one.exe}" for one in ancestors if one.exe} | {
        f"unix:sha256:{one.exe_sha256}" for one in ancestors if one.exe_sha256
    }
    return any(
        one.pid in pids or (one.found == REGISTERED and not files.isdisjoint(one.selectors)) for one in workloads
    )
