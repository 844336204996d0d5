"""A Remit in a machine, and a hostile program of ada's let loose on it: each try judged by what it changed."""

import contextlib
import importlib
import json
import select
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.effects import EFFECTS
from tests.system.hostile import FAMILIES
from tests.system.hostile.kit import NOT_HERE, TRIES, Try
from tests.system.machine import Machine, machine
from tests.system.modes import PYTHONS, Mode
from tests.system.sudo import put_sudo, type_password

for _family in FAMILIES:
    importlib.import_module(f"tests.system.hostile.{_family}")

RUN = Path(__file__).parent / "hostile" / "run.py"
TRY_SECONDS = 60.0
SMALL = "96m"  # the disk that ada's home and the state share: small enough to be filled
_SMALL = """
set -e
mkdir {small} /var/lib/remit
mount -t tmpfs -o size={size},mode=755 tmpfs {small}
mkdir {small}/state
cp -a /home/ada {small}/ada
mount --bind {small}/ada /home/ada
mount --bind {small}/state /var/lib/remit
echo '::1 localhost' >> /etc/hosts
script -qc 'sleep 1000' /dev/null </dev/null >/dev/null 2>&1 &
sleep 0.2
for terminal in /dev/pts/[0-9]*; do chown bob:tty $terminal; chmod {terminal} $terminal; done
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a try: `evidence` from outside when it succeeded, `why` from itself when not."""

    name: str
    succeeded: bool
    evidence: str
    why: str

    @property
    def not_tried(self) -> bool:
        """Whether what it would use is not on this machine."""
        return self.why.startswith(NOT_HERE)


class Attacked:
    """One Remit on one machine. `as_whom`: "unenrolled", or "enrolled" as a workload of ada's."""

    def __init__(self, machine: Machine, mode: Mode, as_whom: str = "unenrolled") -> None:
        self.machine, self.mode, self._python = machine, mode, PYTHONS[as_whom]
        self.own_id = {"unenrolled": "user/ada", "enrolled": "agent/helper"}[as_whom]
        put_sudo(machine, installed=mode.name == "system")
        mode.prepare(machine)
        self.ready = mode.start()
        self.records = 0
        self.token = ""  # of a task that ada started, and that a program of hers has

    def make(self, one: Try) -> Outcome:
        """Make one try, judge it, take it back; Remit is repaired when it isn't what it was."""
        before = self.mode.facts()
        self.records = self.mode.verdict().get("records", 0) if one.effect == "records" else 0
        told = {"remit": self.mode.remit, "code": self.mode.code, "config": self.mode.config, "ready": self.ready}
        early = one.effect.startswith("early")
        if early:
            self.mode.down()
        if one.name == "take-token":
            self.token = self.mode.task(self.ready["guarded"][0]["name"])
        with contextlib.ExitStack() as afterwards:
            if one.name == "sudo-cache":
                afterwards.callback(type_password(self.machine, "/home/ada/typed").communicate)
            said = afterwards.enter_context(self._hostile(one.name, told))
            evidence = self._starts_not() if early else ""
            if not evidence and said["claim"] is not None:
                evidence = EFFECTS[one.effect](self, said["claim"])
            if not evidence and not early:
                evidence = _changed(before, self.mode.facts())
        spoilt = early or (one.effect in {"records", "altered"} and said["claim"] is not None)
        if one.effect != "found" and (spoilt or before != self.mode.facts() or not self.answers()):
            self.repair()
        return Outcome(one.name, bool(evidence), evidence, said["why"])

    def _starts_not(self) -> str:
        try:
            self.ready = self.mode.up()
        except AssertionError:
            return "Remit does not start"
        return ""

    @contextlib.contextmanager
    def _hostile(self, name: str, told: dict[str, Any]) -> Iterator[dict[str, Any]]:
        held = self.machine.start("sleep", "60", user="ada", environ={"OPENAI_API_KEY": self.token or "none"})
        process = self.machine.start(self._python, "-B", str(RUN), name, user="ada")
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        said: dict[str, Any] = {"claim": None, "why": "it took too long", "pid": 0}
        try:
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
            if select.select([process.stdout], [], [], TRY_SECONDS)[0]:
                line = process.stdout.readline()
                said = json.loads(line) if line else {**said, "why": process.stderr.read().decode()[-2000:]}
            yield said
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"judged\n")
                process.stdin.flush()
            select.select([process.stdout], [], [], TRY_SECONDS)
        finally:
            self.machine.run("pkill", "-KILL", "-x", "sleep", "-u", "ada", check=False)
            held.communicate()
            if said["pid"]:
                self.machine.run("pkill", "-KILL", "-s", str(said["pid"]), check=False)
            for pipe in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            process.kill()
            process.wait(10)

    def repair(self) -> None:
        """Remit as it was before the first try."""
        self.ready = self.mode.again()

    def ask(self, path: str, *options: str, user: str = "ada") -> tuple[int, str]:
        """One GET at the guarded door by a process that has nothing to do with the hostile one: status and body."""
        url = self.ready["guarded"][0]["url"]
        command = ("curl", "-sS", "-m", "4", "-w", "\n%{http_code}", *options, url + path)
        body, _, status = self.machine.run(*command, user=user, check=False).stdout.rpartition("\n")
        return int(status or 0), body

    def answers(self, user: str = "ada") -> bool:
        """Whether the guard decides calls now: one that is permitted and one that is not."""
        decided = (
            self.ask("/v1/models", user=user)[0] == 200 and self.ask("/props", user=user)[0] == self.mode.refused
        )
        command = (
            "curl",
            "-s",
            "-m",
            "4",
            "-o",
            "/dev/null",
            "--unix-socket",
            self.ready["api"],
            "http://localhost/status",
        )
        return decided and self.machine.run(*command, user=user, check=False).returncode == 0


def _changed(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What isn't what it was, of what a try must not change at all."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return ", ".join(f"{name}: {before.get(name)} became {after.get(name)}" for name in names)


def tries(found: bool = False) -> list[Try]:
    """Those against the server that Remit started, or that it found."""
    return [one for one in TRIES.values() if (one.effect == "found") == found]


@contextlib.contextmanager
def attacked(place: Path, mode: Mode, as_whom: str = "unenrolled") -> Iterator[Attacked]:
    """Remit in that mode on a machine for a `with` block."""
    with contextlib.ExitStack() as afterwards:
        afterwards.callback(mode.close)
        its = afterwards.enter_context(machine(place))
        its.run("sh", "-c", _SMALL.format(small=f"{place}/small", size=SMALL, terminal=mode.terminal))
        yield Attacked(its, mode, as_whom)
