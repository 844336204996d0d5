"""Whether a process is a workload: by its selectors, and by the very process that was enrolled."""

from remit.identity import Process
from remit.inventory.workload import Workload


def matches(workload: Workload, process: Process) -> bool:
    """Whether `process` is `workload`'s own: the very process that was enrolled, and each selector holds now.

    Pid and start name it: selectors alone would take any other script of the same interpreter for it, and a pid
    alone whatever process got that number later. A workload whose pid or start is not known matches none.
    """
    if None in {workload.pid, workload.start} or not workload.selectors:
        return False
    if (workload.pid, workload.start) != (process.pid, process.start):
        return False
    return all(_holds(selector, process) for selector in workload.selectors)


def _holds(selector: str, process: Process) -> bool:
    kind, _, value = selector.removeprefix("unix:").partition(":")
    match kind:
        case "uid":
            return value == str(process.uid)
        case "path":
            return value == process.exe
        case "sha256":
            return value == process.exe_sha256
    return False  # a selector that is not known here never matches
