"""Tries to weaken, stop or end the guard: each leaves it worse for those after it, so the gentler come first."""

import os
import signal
from pathlib import Path

from tests.system.hostile.kit import Target, attempt, guards, is_alive, said_by, wait_until


@attempt("oom", "make the kernel end a guard first when memory is short")
def oom(target: Target) -> str:
    for pid in guards(target):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")
    return "the guards are the first to go"


@attempt("renice", "give the guards the least of the processor")
def renice(target: Target) -> str:
    for pid in guards(target):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    return "the guards run last"


@attempt("cgroup", "move a guard into a control group of its own and freeze it")
def cgroup(target: Target) -> str:
    mine = Path("/sys/fs/cgroup/mine")
    mine.mkdir()
    (mine / "cgroup.procs").write_text(str(guards(target)[0]), encoding="ascii")
    return "moved a guard"


@attempt("descriptor-limit", "take a guard's descriptors away with prlimit")
def descriptor_limit(target: Target) -> str:
    import resource

    for pid in guards(target):
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, before[1]))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        return "a guard may open nothing more"
    return ""


@attempt("service-manager", "have the service manager stop the guard")
def service_manager(target: Target) -> str:
    said_by("systemctl", "stop", "remit")
    return "" if is_alive(target) else "the guard is gone"


@attempt("stop-process", "stop the guards (SIGSTOP)")
def stop_process(target: Target) -> str:
    states = []
    for pid in guards(target):
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: False, 0.2)
    for pid in guards(target):
        states.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
        os.kill(pid, signal.SIGCONT)
    return "the guards stood still" if set(states) == {"T"} else ""


@attempt("kill", "kill the guards (SIGKILL)")
def kill(target: Target) -> str:
    gone = 0
    for pid in guards(target):
        os.kill(pid, signal.SIGKILL)
        gone += 1
    return f"killed {gone} processes of the guard"


@attempt("down", "say `remit down`")
def down(target: Target) -> str:
    wait_until(lambda: is_alive(target))  # it comes back when it was killed
    said_by(target.remit, "down")
    return "the guard is gone" if wait_until(lambda: not is_alive(target), 3) else ""
