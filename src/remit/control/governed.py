"""Whether a process runs under a governed workload: then it is no person, whatever its uid."""

from collections.abc import Callable, Collection, Iterator

from remit.errors import AttestationError
from remit.identity import Process
from remit.inventory import Workload, matches
from remit.inventory.selectors import REGISTERED

Observe = Callable[[int], Process]


def governor(process: Process, workloads: Collection[Workload], observe: Observe) -> Workload | None:
    """The workload that this process is, or one of its ancestors; None for a person's. Blocks: it looks at each.

    An ancestor that can't be looked at, or is gone, is not known to be one.
    """
    found = {one.pid: one for one in workloads if one.found != REGISTERED and one.pid is not None}
    for pid in (process.pid, *(parent.pid for parent in process.parents)):
        if pid in found:
            return found[pid]
    registered = [one for one in workloads if one.found == REGISTERED]
    if not registered:
        return None
    own = ((one, each) for each in ancestry(process, observe) for one in registered)
    return next((one for one, each in own if matches(one, each)), None)


def ancestry(process: Process, observe: Observe) -> Iterator[Process]:
    """The process, and each of its ancestors as it is now, nearest first."""
    yield process
    for parent in process.parents:
        try:
            yield observe(parent.pid)
        except AttestationError:
            continue
