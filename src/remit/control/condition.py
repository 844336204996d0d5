"""The condition of this instance now: every fact about it, and the grades that follow, of each server and of all."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from remit.config import Places
from remit.control.machine_facts import machine_facts
from remit.control.raw_ports import Closing, none_guarded, raw_port
from remit.control.standing_facts import SYSTEM_MODE, standing_facts
from remit.inventory import Workload
from remit.posture import Fact, Grade, grade
from remit.posture.grade import ATTESTOR, RAW_PORTS, SEPARATE_UID

# What the attestor can't do without (capabilities(7)): CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
SEES: Final = 1 << 2 | 1 << 19

USER_MODE_WHY: Final = (
    "because Remit runs as you: a hostile process of yours could stop it, read its key or edit its policy"
)
USER_MODE_RAISES: Final = "B when Remit runs as its own user (system mode; see docs/threat-model.md)"
NEXT: Final = {"C": "B", "B": "A"}


class Condition:
    """`attestor`: the pid of the one that this instance started, if any.

    The facts about files are those of the last `look`; the others are looked at each time.
    """

    def __init__(self, places: Places, attestor: int | None = None) -> None:
        self._places, self._attestor, self._uid = places, attestor, os.getuid()
        self._standing: list[Fact] = []
        self._machine: list[Fact] = []
        self.closing: Callable[[Workload], Closing] | None = None
        """How the ways to a server around Remit are; None where nothing can close them."""
        self.on_record = ""
        """The grade that the log has last."""

    def look(self) -> None:
        """Look at files and accounts. Walks directories: not for an event loop."""
        self._standing = standing_facts(self._places, self._uid)
        self.look_at_machine()

    def look_at_machine(self) -> None:
        """Look at what this machine lets processes do. Reads a few small files."""
        self._machine = machine_facts()

    def true(self, workloads: Iterable[Workload]) -> tuple[str, ...]:
        """The names of those that are true, for policies: none that is true of some servers only, or unknown."""
        of_machine = [fact.name for fact in self._machine if fact.holds]
        return tuple(sorted([*of_machine, *(name for name, word in self.words(workloads).items() if word == "true")]))

    def facts(self, workloads: Iterable[Workload]) -> list[Fact]:
        """All of them, with one about each server of `workloads`."""
        ports = [self._port(one) for one in workloads if one.server]
        return [*self._standing, attestor_runs(self._attestor), *(ports or [none_guarded()])]

    def shown(self, seen: Iterable[Workload], unseen: Iterable[Workload]) -> list[dict[str, str]]:
        """As JSON, for somebody who may know of `seen` alone; with what no grade rests on. Reads files."""
        others = [self._port(one) for one in unseen if one.server]
        return shown([*self.facts(seen), *machine_facts()], others)

    def grade(self, workloads: Iterable[Workload]) -> Grade:
        """Of all of them together: no better than the worst."""
        return grade(self.facts(workloads))

    def words(self, workloads: Iterable[Workload]) -> dict[str, str]:
        """What each fact is, as the grade takes it: seen several times, as bad as the worst."""
        rank = ("true", "unknown", "false")
        found: dict[str, str] = {}
        for fact in self.facts(workloads):
            found[fact.name] = max(fact.word, found.get(fact.name, "true"), key=rank.index)
        return found

    def _port(self, workload: Workload) -> Fact:
        return raw_port(workload, self._uid, self.closing(workload) if self.closing is not None else None)


def attestor_runs(pid: int | None) -> Fact:
    """Whether the process that tells Remit what its own uid can't see is there, and able to."""
    if pid is None:
        return Fact(ATTESTOR, False, "this instance started none", SYSTEM_MODE)
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return Fact(ATTESTOR, False, f"pid {pid} has ended", "start Remit again")
    said = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if said["State"].split()[0] in {"Z", "X"}:
        return Fact(ATTESTOR, False, f"pid {pid} has ended", "start Remit again")
    if int(said["CapEff"], 16) & SEES != SEES:
        return Fact(ATTESTOR, False, f"pid {pid} may not look at other users' processes", SYSTEM_MODE)
    return Fact(ATTESTOR, True, f"pid {pid}, with what it takes to see other users' processes")


def why(found: Grade) -> str:
    """The reason in a person's words: of a Remit that runs as them first of all that."""
    return USER_MODE_WHY if _as_you(found) else found.why


def raises(found: Grade) -> str:
    """What comes next, with the grade it leads to once every other fact holds too; empty at the highest."""
    if _as_you(found):
        return USER_MODE_RAISES
    return f"for {NEXT[found.letter]}: {found.raises or 'not to be had in this version'}" if found.missing else ""


def _as_you(found: Grade) -> bool:
    return any(fact.name == SEPARATE_UID and fact.holds is False for fact in found.missing)


def shown(facts: Iterable[Fact], ports_unseen: Iterable[Fact] = ()) -> list[dict[str, str]]:
    """As JSON. Of servers that aren't the asker's no more than whether all of them are out of reach."""
    rows = [fact.to_dict() for fact in facts]
    if others := list(ports_unseen):
        holds = all(one.holds for one in others) or (None if all(one.holds is not False for one in others) else False)
        rows.append(Fact(RAW_PORTS, holds, "other people's servers").to_dict())
    return rows
