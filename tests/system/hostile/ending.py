"""Tries to weaken, stop or end the guard."""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.kit import Claim, Target, attempt, heard, said_by, typed

SIGNALS = "signals and limits of another uid's processes"
PROOF = "stopping takes an administrator's password or passkey"


@attempt("oom", "make the kernel end a guard first when memory is short", "proc-file", SIGNALS)
def oom(target: Target) -> Claim:
    for pid in target.guards:
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")
    return {"path": f"/proc/{target.guards[0]}/oom_score_adj", "has": "1000"}


@attempt("renice", "give the guards the least of the processor", "nice", SIGNALS)
def renice(target: Target) -> Claim:
    for pid in target.guards:
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    return {"pid": target.guards[0]}


@attempt("descriptor-limit", "take a guard's descriptors away with prlimit", "descriptors", SIGNALS)
def descriptor_limit(target: Target) -> Iterator[Claim]:
    pid = target.guards[0]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, before[1]))
    yield {"pid": pid}
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@attempt(
    "cgroup", "move a guard into a control group of its own, to freeze it", "frozen", "control groups are root's"
)
def cgroup(target: Target) -> Iterator[Claim]:
    mine = Path("/sys/fs/cgroup/freezer/mine")
    mine.mkdir(exist_ok=True)
    (mine / "cgroup.procs").write_text(str(target.guards[0]), encoding="ascii")
    (mine / "freezer.state").write_text("FROZEN", encoding="ascii")
    yield {"pid": target.guards[0]}
    (mine / "freezer.state").write_text("THAWED", encoding="ascii")
    Path("/sys/fs/cgroup/freezer/cgroup.procs").write_text(str(target.guards[0]), encoding="ascii")


@attempt("stop-process", "stop the guards (SIGSTOP)", "silent", SIGNALS)
def stop_process(target: Target) -> Iterator[Claim]:
    for pid in target.guards:
        os.kill(pid, signal.SIGSTOP)
    yield {}
    for pid in target.guards:
        os.kill(pid, signal.SIGCONT)


@attempt("down", "say `remit down` on a terminal of its own", "dead", PROOF)
def down(target: Target) -> Claim:
    heard(typed([target.remit, "down"]))
    return {}


@attempt("terminate", "ask the guards to end (SIGTERM, SIGHUP, SIGINT)", "dead", SIGNALS)
def terminate(target: Target) -> Claim:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        for pid in target.guards:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.1)
    return {}


@attempt(
    "service-manager",
    "have the service manager stop the guard",
    "dead",
    "systemd stops a system service for root alone",
    "systemctl",
)
def service_manager(_target: Target) -> Claim | None:
    heard(said_by("systemctl", "stop", "remit"))
    return {} if Path("/run/systemd/system").exists() else None


@attempt("kill", "kill the guards and what starts them again (SIGKILL), over and over", "dead", SIGNALS)
def kill(_target: Target) -> Claim:
    mine, refused, done = {os.getpid(), os.getppid()}, None, 0
    for _ in range(8):
        found = subprocess.run(["pgrep", "-f", "remit"], capture_output=True, text=True, check=False).stdout
        for pid in {int(one) for one in found.split()} - mine:
            try:
                os.kill(pid, signal.SIGKILL)
                done += 1
            except PermissionError as error:
                refused = error
        time.sleep(0.1)
    if not done and refused is not None:
        raise refused
    return {"killed": done}
