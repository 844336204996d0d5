"""Whether a process is a workload: by its selectors, and by the very process that was enrolled."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from remit.errors import AttestationError, IdentityError
from remit.identity import Process, SpiffeId
from remit.identity.selectors import KINDS, holds, split, why_weaker
from remit.inventory.workload import Workload

REGISTERED: Final = "registered"  # how a workload was found whose selectors somebody wrote down: they alone name it
_ENROLLED: Final = ("unix:uid", "unix:path", "unix:sha256")


def matches(workload: Workload, process: Process) -> bool:
    """Whether `process` is `workload`'s own: every selector holds now, and it is the very process that was enrolled.

    Pid and start name that one: selectors alone would take any other script of the same interpreter for it, and a pid
    alone whatever process got that number later. A workload whose pid or start is not known matches none; one that
    was registered by its selectors matches each process that has them all.
    """
    if not workload.selectors or (workload.found != REGISTERED and not _enrolled(workload, process)):
        return False
    return all(holds(selector, process) for selector in workload.selectors)


def _enrolled(workload: Workload, process: Process) -> bool:
    if None in {workload.pid, workload.start}:
        return False
    return (workload.pid, workload.start) == (process.pid, process.start)


def workload_of(process: Process, workloads: Iterable[Workload]) -> Workload | None:
    """The one workload that `process` is. Raises AttestationError when it is two of them: then it is neither."""
    found = [workload for workload in workloads if matches(workload, process)]
    if len(found) > 1:
        raise AttestationError(
            f"process {process.pid} has the selectors of `{found[0].spiffe_id}` and of `{found[1].spiffe_id}`",
            hint="register more selectors for one of them, until no process has those of both",
        )
    return found[0] if found else None


def selectors_to_enrol(process: Process) -> tuple[str, ...]:
    """Those by which a process that was found is enrolled: only what the kernel tells, and holds for it now."""
    return tuple(f"{kind}:{value}" for kind in _ENROLLED for value in KINDS[kind].of(process))


def check_registration(spiffe_id: SpiffeId, selectors: Sequence[str], workloads: Iterable[Workload]) -> None:
    """Raises IdentityError for `selectors` that no process can have, or that are another workload's as well.

    Not checked here, for nobody can know it yet: a process that happens to have two sets of selectors of which
    neither includes the other. `workload_of` refuses that process.
    """
    # 1. each is well-formed, and together they are possible
    _possible(spiffe_id, selectors)
    # 2. something in them is the kernel's own word
    if all(why_weaker(selector) for selector in selectors):
        raise IdentityError(
            f"the selectors of `{spiffe_id}` are all weak: {why_weaker(selectors[0])}",
            hint="add `unix:uid` and `unix:sha256`, which the kernel answers for",
        )
    # 3. no process that has them is somebody else
    for other in workloads:
        if other.spiffe_id != spiffe_id and _overlap(other, frozenset(selectors)):
            raise IdentityError(
                f"these selectors match two identities: `{spiffe_id}` and `{other.spiffe_id}`",
                hint=f"add one that `{other.name}` does not have; `remit whois PID` lists those of a process",
            )


def _overlap(other: Workload, selectors: frozenset[str]) -> bool:
    theirs = frozenset(other.selectors)
    return other.found == REGISTERED and bool(theirs) and (theirs <= selectors or selectors <= theirs)


def _possible(spiffe_id: SpiffeId, selectors: Sequence[str]) -> None:
    if not selectors:
        raise IdentityError(
            f"`{spiffe_id}` has no selectors: no process would be it",
            hint="`remit whois PID` lists those of a process that runs",
        )
    for kind, pairs in groupby(sorted({split(selector) for selector in selectors}), key=lambda pair: pair[0]):
        values = [value for _, value in pairs]
        if len(values) > 1 and not KINDS[kind].many:
            raise IdentityError(
                f"no process can be `{spiffe_id}`: it has one `{kind}`, "
                f"which can't be both `{values[0]}` and `{values[1]}`"
            )
