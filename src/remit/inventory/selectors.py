"""Whether a process is a workload: by its selectors, and by the very process that was enrolled."""

from remit.identity import Process
from remit.inventory.workload import Workload


def matches(workload: Workload, process: Process) -> bool:
    """Whether `process` is `workload`'s own: the enrolled pid, and each selector's fact as the kernel tells it now.

    The pid is required because selectors alone would take any other script of the same interpreter for it.
    """
    if workload.pid is None or workload.pid != process.pid or not workload.selectors:
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
