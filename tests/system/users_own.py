"""A person's own Remit in a machine of a test's own, run by them; what it left can be laid in other machines."""

import json
import subprocess
from pathlib import Path

from tests.system import running
from tests.system.machine import Machine

CODE = "/home/code"  # where everybody can read and only root write, and no installation puts anything
REMIT = f"{CODE}/remit"
LEFT = ("/home/ada/.local", "/home/ada/.config")


def put_code(machine: Machine) -> None:
    packages = running.SOURCE.parent / ".venv/lib/python3.11/site-packages"
    script = running._CODE.replace("/usr/local/bin/remit", REMIT).replace("/opt/remit", CODE)
    machine.run("mkdir", "-p", CODE)
    machine.run("sh", "-c", script.format(source=running.SOURCE, packages=packages))


def run_once(machine: Machine, *commands: tuple[str, ...], user: str = "ada") -> None:
    """`remit up` as `user`, `commands` of theirs while it runs, and its end."""
    put_code(machine)
    up = machine.start(REMIT, "up", "--json", "--owner", user, user=user)
    assert up.stdout is not None
    for line in up.stdout:
        if json.loads(line)["event"] == "ready":
            break
    else:
        assert up.stderr is not None
        raise AssertionError(up.stderr.read().decode())
    for command in commands:
        machine.run(REMIT, *command, user=user)
    machine.run("pkill", "-TERM", "-f", "remit up")
    for _ in up.stdout:
        pass
    up.wait(20)
    for pipe in (up.stdin, up.stdout, up.stderr):
        if pipe is not None:
            pipe.close()


def take(machine: Machine, into: Path) -> Path:
    """What the instance left in ada's home, as an archive on the real machine."""
    with into.open("wb") as file:
        subprocess.run(machine.command("tar", "-cf", "-", *LEFT), stdout=file, stderr=subprocess.DEVNULL, check=True)
    return into


def lay(machine: Machine, archive: Path) -> None:
    with archive.open("rb") as file:
        subprocess.run(machine.command("tar", "-xpf", "-", "-C", "/"), stdin=file, check=True)
