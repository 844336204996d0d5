"""A Remit in a machine, and the hostile program let loose on it, family by family."""

import contextlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.machine import Machine, machine

HOSTILE = Path(__file__).parent / "hostile"
FAMILIES = ("reading", "doors", "person", "writing", "ending")
SRC = Path(__file__).parents[2] / "src" / "remit"
DEPENDENCIES = Path(__file__).parents[2] / ".venv/lib/python3.11/site-packages"
FAMILY_SECONDS = 180.0

# As `pip install` leaves it in a virtual environment that its user made.
_OWN = """
set -e
cd /home/ada
mkdir -p .config/remit
printf '[discovery]\\nlook = false\\n[gateway]\\nport = 17400\\n' > .config/remit/config.toml
/usr/bin/python3 -m venv --without-pip venv
packages=venv/lib/python3.11/site-packages
cp -r {src} $packages/remit
cp -r {dependencies}/remit-*.dist-info $packages/
echo {dependencies} > $packages/dependencies.pth
printf '#!/home/ada/venv/bin/python3 -I\\nfrom remit.cli import main\\nmain()\\n' > venv/bin/remit
chmod +x venv/bin/remit
chown -R ada:ada /home/ada
"""


@dataclass(frozen=True)
class Mode:
    """How Remit runs: who types `up`, and where a hostile program finds what."""

    name: str
    user: str
    command: tuple[str, ...]
    remit: str
    code: str
    config: str


USER = Mode(
    "user",
    "ada",
    ("/home/ada/venv/bin/remit", "up", "--json", "--owner", "ada"),
    "/home/ada/venv/bin/remit",
    "/home/ada/venv/lib/python3.11/site-packages",
    "/home/ada/.config/remit/config.toml",
)


def own_install(machine: Machine) -> None:
    """Ada's own Remit, in a virtual environment of hers."""
    machine.run("sh", "-c", _OWN.format(src=SRC, dependencies=DEPENDENCIES))


class Running:
    """One `remit up` in a machine."""

    def __init__(self, machine: Machine, mode: Mode) -> None:
        self.process = machine.start(*mode.command, user=mode.user)
        self.ready = self._ready()
        # What it says afterwards is read, so that it never waits for a reader.
        self._reader = threading.Thread(target=self._drain)
        self._reader.start()

    def _ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "ready":
                return event
        assert self.process.stderr is not None
        raise AssertionError(f"remit ended before it was ready: {self.process.stderr.read().decode()}")

    def _drain(self) -> None:
        assert self.process.stdout is not None
        for _ in self.process.stdout:
            pass

    def close(self) -> None:
        """Once its machine has ended, and it with it."""
        self.process.wait(15)
        self._reader.join(15)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def attack(place: Path, mode: Mode, family: str) -> list[dict[str, Any]]:
    """One family of tries by ada's hostile program, on a machine and a Remit started for it."""
    with contextlib.ExitStack() as afterwards, machine(place) as its:
        own_install(its)
        running = Running(its, mode)
        afterwards.callback(running.close)
        told = {"remit": mode.remit, "code": mode.code, "config": mode.config, "ready": running.ready}
        command = ("/usr/bin/python3", "-B", str(HOSTILE / "run.py"), family)
        done = its.run(*command, user="ada", stdin=json.dumps(told), seconds=FAMILY_SECONDS)
    return [{"family": family, **json.loads(line)} for line in done.stdout.splitlines()]
