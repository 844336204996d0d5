"""Remit installed in a machine of a test's own. The code copied by one machine can be mounted in the next ones."""

import subprocess
import sys
from pathlib import Path

import typer

import remit
from tests.system.machine import Machine, tree

PLACES = ("/etc", "/var/lib", "/run", "/home")  # what an installation could change
OVERLAYS = ("opt", "usr_local")  # and here; what was written there is looked at alone: there may be much below
_ACTS = {
    "install": "from remit.install import *\ncarry_out(plan(Options(tiocsti=True, code=False)), Journal(), print)",
    "move": """
from remit.cli.install import _keep
from remit.install import *
from remit.install.move import moving
from remit.install.users_own import users_own
with moving(users_own("ada"), _keep) as move:
    carry_out(plan(Options(tiocsti=True, code=False), move), Journal(), print)
""",
    "uninstall": "from remit.install import *\nput_back(Journal(), print, with_log=False)",
}
REMIT = "from remit.cli import main; main()"


def of_checkout(machine: Machine, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `remit …` in the machine as root, from the code under test (nothing is written beside it)."""
    return machine.run(sys.executable, "-B", "-I", "-c", REMIT, *arguments, check=check, seconds=120.0)


def install(machine: Machine, code: Path | None = None, *options: str) -> None:
    """`remit install --system` in it. `code`: an /opt/remit copied before (`copy_of`), mounted read-only.

    The kernel's value for typing into terminals belongs to the whole real machine: it is left alone.
    """
    if code is not None:
        machine.run("mkdir", "-p", "/opt/remit")
        machine.run("mount", "--bind", "-o", "ro", str(code), "/opt/remit")
    of_checkout(machine, "install", "--system", "--keep-tiocsti", *options)


def without_code(machine: Machine, act: str) -> str:
    """Install or uninstall (`act`) all but the copy of the code, which is most of the work; what it says."""
    source, site = Path(remit.__file__).parents[1], Path(typer.__file__).parents[1]
    program = f"import sys; sys.path[:0] = [{str(source)!r}, {str(site)!r}]\n" + _ACTS[act]
    return machine.run("/usr/bin/python3", "-B", "-I", "-c", program).stdout


def snapshot(machine: Machine) -> dict[str, tuple[str, ...]]:
    """Every file that an installation could have changed."""
    return tree(machine, [*PLACES, *(f"{machine.place}/{name}.upper" for name in OVERLAYS)])


def copy_of(machine: Machine, into: Path) -> Path:
    """The installed /opt/remit of a machine, copied to `into` on the real one."""
    subprocess.run(["cp", "-a", f"{machine.path('/opt/remit')}/.", str(into)], check=True)
    return into
