"""Another version installed over this one: newer code keeps the state, older code refuses it before it touches it."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import remit
from remit.storage.store import HEAD
from tests.system.installed import of_checkout, snapshot
from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import SystemRemit

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="needs root, and the tools that make machines")

INSTALL = ("install", "--system", "--keep-tiocsti")
NEWER = "/home/newer"  # a checkout of the next version
NEXT = f"{int(HEAD) + 1:04d}"
CONFIG = '[proof]\nneeds = "uid"\n[discovery]\nlook = false\n'
MIGRATION = f'''"""what the next version keeps besides"""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("next", sa.Column("id", sa.Integer, primary_key=True))
'''


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    place = tmp_path / "machine"
    place.mkdir()
    with machine(place) as made:
        yield made


def put_newer(host: Machine) -> None:
    """The next version: another number, one more migration, and a program of it that root can start."""
    source = Path(remit.__file__).parent
    host.run("sh", "-c", f"mkdir {NEWER} && cp -r {source} {NEWER}/remit")
    home = host.path(f"{NEWER}/remit")
    (home / "storage" / "migrations" / "versions" / f"{NEXT}_next.py").write_text(MIGRATION)
    store, version = home / "storage" / "store.py", home / "__init__.py"
    store.write_text(store.read_text().replace(f'HEAD: Final = "{HEAD}"', f'HEAD: Final = "{NEXT}"'))
    version.write_text(version.read_text().replace(remit.__version__, "9.9.9"))


def of_newer(host: Machine, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {NEWER!r}); from remit.cli import main; main()"
    return host.run(sys.executable, "-B", "-I", "-c", program, *arguments, check=check, seconds=120.0)


def current(host: Machine) -> str:
    return host.run("readlink", "/opt/remit/current").stdout.strip()


def revision(host: Machine) -> str:
    query = (
        "import sqlite3; c = sqlite3.connect('/var/lib/remit/state.db');"
        "print(*c.execute('select * from alembic_version').fetchone())"
    )
    return host.run("/usr/bin/python3", "-I", "-c", query).stdout.strip()


def run_once(host: Machine, *commands: tuple[str, ...]) -> dict[str, str]:
    """Start it, run root's commands, stop it; the workloads that it knew, by name with their owners."""
    system = SystemRemit(host)
    try:
        system.event("ready")
        for command in commands:
            host.run("remit", *command)
        return {one["name"]: one["owner"] for one in system.said("root", "workload", "list")}
    finally:
        system.stop()


def killed_while_it_copies(host: Machine) -> None:
    """An installation of the newer version, ended by SIGKILL in the midst of its code."""
    program = f"import sys; sys.path.insert(0, {NEWER!r}); from remit.cli import main; main()"
    begun = host.start(sys.executable, "-B", "-I", "-c", program, *INSTALL)
    deadline = time.monotonic() + 60
    while not list(host.path("/opt/remit").glob("9.9.9-*.new/lib/*/site-packages/*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    host.run("pkill", "-KILL", "-f", NEWER)
    begun.wait(20)
    for pipe in (begun.stdin, begun.stdout, begun.stderr):
        assert pipe is not None
        pipe.close()


@pytest.mark.long
def test_a_newer_version_keeps_the_state_and_an_older_one_leaves_it_alone(host: Machine) -> None:
    before = snapshot(host)
    code = of_checkout(host, *INSTALL).stdout.splitlines()[-1]
    assert re.fullmatch(r"([0-9A-Z]{4}-){6}[0-9A-Z]{4}", code)
    host.run("sh", "-c", "cat >/etc/remit/config.toml", stdin=CONFIG)
    older = current(host)
    known = run_once(
        host,
        (
            "workload",
            "add",
            "helper",
            "--kind",
            "agent",
            "--owner",
            "ada",
            "--selector",
            "unix:uid:1000",
            "--selector",
            "unix:path:/usr/bin/printf",
        ),
    )
    assert known["helper"] == "ada"
    assert revision(host) == HEAD

    put_newer(host)
    killed_while_it_copies(host)
    assert current(host) == older
    assert host.run("remit", "--version").stdout == f"remit {remit.__version__}\n"
    again = of_newer(host, *INSTALL)

    assert "a recovery code is sealed already" in again.stderr
    assert code not in again.stdout
    assert current(host).startswith("9.9.9-")
    assert host.path(f"/opt/remit/{older}").is_dir()
    assert host.path("/etc/remit/config.toml").read_text() == CONFIG
    assert host.run("remit", "--version").stdout == "remit 9.9.9\n"
    assert run_once(host) == known
    assert revision(host) == NEXT
    verdict = json.loads(host.run("remit", "audit", "verify", "--dir", "/var/lib/remit/audit", "--json").stdout)
    assert verdict["ok"]

    upgraded = snapshot(host)
    said = of_checkout(host, *INSTALL, check=False)
    assert (said.returncode, current(host)[:6]) == (1, "9.9.9-")
    assert f"written by a newer version of Remit (revision `{NEXT}`)" in said.stderr
    assert snapshot(host) == upgraded

    host.run("sh", "-c", "rm -r /home/newer")
    host.run("remit", "uninstall", "--with-log")
    assert {path for path in snapshot(host) if path not in before} <= {
        "/etc/remit",
        "/etc/remit/config.toml.remit-saved",
    }


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("/etc/remit/config.toml", "nonsense = 1\n", "unknown key `nonsense`"),
        ("/etc/remit/policies/own.cedar", "permit(principal, action, nonsense);\n", "own.cedar:1"),
    ],
)
def test_settings_and_policies_that_this_version_can_not_take_are_refused(
    host: Machine, path: str, text: str, said: str
) -> None:
    host.run("mkdir", "-p", "/etc/remit/policies")
    host.run("tee", path, stdin=text)
    before = snapshot(host)
    done = of_checkout(host, *INSTALL, check=False)
    assert said in done.stderr
    assert done.returncode != 0
    assert snapshot(host) == before
