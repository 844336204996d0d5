"""How Remit is run when it is attacked: as ada's own, as the machine's, or not at all (what guards nothing)."""

import contextlib
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.system.machine import Machine
from tests.system.terminals import start_sshd

HOSTILE = Path(__file__).parent / "hostile"
SRC = Path(__file__).parents[2] / "src" / "remit"
DEPENDENCIES = Path(__file__).parents[2] / ".venv/lib/python3.11/site-packages"
PYTHONS = {"unenrolled": "/usr/bin/python3", "enrolled": "/opt/agent/bin/python3"}
PORT = 17400
READY_SECONDS = 30.0

# `helper` is the hostile program when it is enrolled; `trusted` may do what nobody else may.
_PROGRAMS = """
set -e
/usr/bin/python3 -m venv --copies --without-pip /opt/agent
mkdir /opt/trusted
cp /bin/cat /opt/trusted/cat
"""
_ENROLLED = (("helper", "agent", PYTHONS["enrolled"]), ("trusted", "pipeline", "/opt/trusted/cat"))
TRUSTED_POLICY = """
@id("trusted-sees")
@reason("the trusted program may look at what the server holds")
permit (principal, action == Action::"disclose", resource)
when { principal.kind == "pipeline" && principal.enrolled };
"""
TASK = "task start {server} --allow disclose --for 5m --purpose hers"
CLEAN = "find /tmp -maxdepth 1 -user ada -exec rm -rf {} +"
_ENROL = "workload add {name} --kind {kind} --selector unix:uid:{uid} --selector unix:path:{path}"


# An Ollama of ada's own, in the place of the demonstration server that Remit starts where there is none.
_OLLAMA = (
    "import runpy, sys; sys.path.insert(0, '/opt'); runpy.run_module('tests.fakes.fake_ollama', run_name='__main__')"
)


def token_of(said: str) -> str:
    return next(word for word in said.split() if word.startswith("remit_task_"))


class Mode:
    """One way to run it on a machine, over and over. `found`: it guards a server of ada's that it found."""

    def __init__(self, *, found: bool = False) -> None:
        self.look = str(found).lower()

    name, remit, code, config = "", "", "", ""
    refused = 403  # what a call is answered that nothing permits
    terminal = "620"  # how bob's terminal is closed to others
    machine: Machine
    _running: Any = None

    def prepare(self, machine: Machine) -> None:
        """What is there before it is started the first time."""
        self.machine = machine
        machine.run("sh", "-c", _PROGRAMS)
        start_sshd(machine)
        if self.look == "true":
            machine.run("sh", "-c", f"cp -r {HOSTILE.parents[1]} /opt/tests && chmod -R a+rX /opt/tests")
            serving = machine.start("/usr/bin/python3", "-c", _OLLAMA, "--port", "11434", user="ada")
            assert serving.stdout is not None
            assert b"listening" in serving.stdout.readline()
            self._serving = serving

    def start(self) -> dict[str, Any]:
        """Start it the first time; what it says when it is ready."""
        raise NotImplementedError

    def down(self) -> None:
        """End it, as far as a machine that was just started has come."""
        raise NotImplementedError

    def up(self) -> dict[str, Any]:
        """Start it as it was left; what it says when it is ready."""
        raise NotImplementedError

    def again(self) -> dict[str, Any]:
        """Whatever became of it: as it was when it was ready first."""
        raise NotImplementedError

    def verdict(self) -> dict[str, Any]:
        """What `remit audit verify` says of the log, asked by who may read it."""
        user = "ada" if self.name == "user" else "root"
        said = self.machine.run(self.remit, "audit", "verify", "--json", user=user, check=False).stdout
        found: dict[str, Any] = json.loads(said.splitlines()[0]) if said.strip() else {"ok": False, "records": 0}
        return found

    def facts(self) -> dict[str, Any]:
        """What no try may change, where none may succeed."""
        return {}

    def close(self) -> None:
        """Once its machine has ended."""
        if self.look == "true":
            self._serving.communicate()

    def task(self, server: str) -> str:
        """The token of a task that ada starts herself, on a terminal of hers."""
        raise NotImplementedError

    def enrol(self, user: str) -> None:
        uid = self.machine.run("id", "-u", "ada").stdout.strip()
        for name, kind, path in _ENROLLED:
            command = f"{self.remit} {_ENROL.format(name=name, kind=kind, uid=uid, path=path)}"
            self.machine.run("script", "-qec", command, "/dev/null", user=user)


class Started:
    """One process that says when it is ready, as lines of JSON."""

    def __init__(self, machine: Machine, *command: str, user: str) -> None:
        self.process = machine.start(*command, user=user)
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = {}
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                self.ready = event
                break
        else:
            assert self.process.stderr is not None
            said = self.process.stderr.read().decode()
            self._end()
            raise AssertionError(f"it ended before it was ready: {said}")
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError):
            for _ in self.process.stdout:
                pass

    def close(self) -> None:
        """Once what it started has ended."""
        self.process.send_signal(signal.SIGCONT)  # nsenter stops with what it runs
        self.process.wait(15)
        self._reader.join(15)
        self._end()

    def _end(self) -> None:
        self.process.wait(15)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Bare(Mode):
    """What guards nothing: against it every try must succeed that Remit stops in user mode, too."""

    name, remit, code = "bare", "/home/ada/bare/remit", "/home/ada/bare/code"
    config, refused, terminal = "/home/ada/bare/config.toml", 200, "666"

    def start(self) -> dict[str, Any]:
        """With a control group that ada was given, to show what it is good for."""
        freezer = "/sys/fs/cgroup/freezer/mine"
        self.machine.run("sh", "-c", f"mkdir -p {freezer} && chown -R ada {freezer}", check=False)
        return self.up()

    def up(self) -> dict[str, Any]:
        """Its own sockets of before are taken away first."""
        mine = "pgrep -u ada -f run.py >/dev/null || rm -rf /home/ada/bare/run"
        self.machine.run("sh", "-c", mine)
        command = ("/usr/bin/python3", "-B", str(HOSTILE / "bare.py"), "/home/ada/bare")
        self._running = started = Started(self.machine, *command, user="ada")
        return started.ready

    def task(self, server: str) -> str:
        del server
        return "remit_task_bare"

    def down(self) -> None:
        self.machine.run("pkill", "-KILL", "-u", "ada", check=False)
        self._running.close()
        time.sleep(0.1)

    def again(self) -> dict[str, Any]:
        self.down()
        return self.up()

    def close(self) -> None:
        super().close()
        if self._running is not None:
            self._running.close()
        with contextlib.suppress(OSError):
            Path("/sys/fs/cgroup/freezer/mine").rmdir()
