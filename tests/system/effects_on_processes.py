"""What a hostile program got done to a guard's process, as root sees it in that machine's /proc."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.system.attacked import Attacked

Claim = dict[str, Any]


def _inside(on: "Attacked", path: str) -> Path:
    return on.machine.path(path)


def _memory(on: "Attacked", claim: Claim) -> str:
    with _inside(on, f"/proc/{claim['pid']}/mem").open("rb") as memory:
        memory.seek(claim["at"])
        return "it has what stands there in a guard's memory" if memory.read(64).hex() == claim["hex"] else ""


def _taken(on: "Attacked", claim: Claim) -> str:
    def links(pid: int) -> set[str]:
        return {str(one.readlink()) for one in _inside(on, f"/proc/{pid}/fd").iterdir()}

    both = claim["link"] in links(claim["guard"]) & links(claim["mine"])
    return "a file that a guard has open is open in it" if both else ""


def _status(on: "Attacked", pid: int, key: str) -> str:
    rows = _inside(on, f"/proc/{pid}/status").read_text().splitlines()
    return next(row.split(":\t", 1)[1] for row in rows if row.startswith(key + ":"))


def _traced(on: "Attacked", claim: Claim) -> str:
    traced = _status(on, claim["guard"], "TracerPid") not in {"0", ""}
    return "a guard has it as its tracer" if traced else ""


def _limit(on: "Attacked", pid: int, what: str) -> str:
    rows = _inside(on, f"/proc/{pid}/limits").read_text().splitlines()
    return next(row.removeprefix(what).split()[0] for row in rows if row.startswith(what))


def _core(on: "Attacked", claim: Claim) -> str:
    return "a guard may leave a core" if _limit(on, claim["guard"], "Max core file size") != "0" else ""


def _descriptors(on: "Attacked", claim: Claim) -> str:
    return "a guard may open nothing more" if _limit(on, claim["pid"], "Max open files") == "8" else ""


def _core_file(on: "Attacked", claim: Claim) -> str:
    return "a guard's memory lies in a file" if _inside(on, claim["path"]).stat().st_size > 100_000 else ""


def _proc_file(on: "Attacked", claim: Claim) -> str:
    return "a guard is the first to go" if _inside(on, claim["path"]).read_text().strip() == claim["has"] else ""


def _nice(on: "Attacked", claim: Claim) -> str:
    row = _inside(on, f"/proc/{claim['pid']}/stat").read_text().rpartition(")")[2].split()
    return "a guard runs last" if row[16] == "19" else ""


ON_PROCESSES: dict[str, Callable[["Attacked", Claim], str]] = {
    "memory": _memory,
    "taken": _taken,
    "traced": _traced,
    "core": _core,
    "core-file": _core_file,
    "descriptors": _descriptors,
    "proc-file": _proc_file,
    "nice": _nice,
}
