"""Run inside a machine as root: what no try may change of a Remit in system mode, as one JSON object."""

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

GUARDS = ("remit up --system", "remit.app control --system", "remit.app gateway", "remit.sandbox.attestor")
TOPS = ("/etc/remit", "/run/remit", "/var/lib/remit", "/usr/local/bin/remit", "/opt/remit/venv/bin")
LIVELY = ("/var/lib/remit/audit/", "/var/lib/remit/state.db", "/var/lib/remit/cache/", "/run/remit/worker-")
LIMITS = ("Max open files", "Max core file size", "Max cpu time")


def guard(pid: str) -> list[str]:
    at = Path("/proc", pid)
    row = (at / "stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":\t", 1) for line in (at / "status").read_text().splitlines() if ":\t" in line)
    limits = [line for line in (at / "limits").read_text().splitlines() if line.startswith(LIMITS)]
    stopped = "stopped" if row[0] in "Tt" else "runs"
    return [
        pid,
        row[19],
        stopped,
        row[16],
        status["Uid"],
        status["TracerPid"],
        (at / "oom_score_adj").read_text(),
        *limits,
    ]


def file(path: Path) -> list[str]:
    facts = path.lstat()
    content = str(path.readlink()) if path.is_symlink() else ""
    if stat.S_ISREG(facts.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return [oct(facts.st_mode), str(facts.st_uid), content or (str(facts.st_ino) if path.is_socket() else "")]


def main() -> dict[str, list[str]]:
    found = {}
    for what in GUARDS:
        pids = subprocess.run(["pgrep", "-f", what], capture_output=True, text=True, check=False).stdout.split()
        found[what] = [word for pid in sorted(pids) for word in guard(pid)]
    for top in TOPS:
        for at, directories, names in os.walk(top):
            for path in (Path(at, name) for name in [*directories, *names, "."]):
                if not str(path).startswith(LIVELY):
                    found[str(path)] = file(path)
    return found


print(json.dumps(main()))
