"""Installing for the whole machine, and putting every file back: compared by a snapshot of the whole tree."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import remit
from tests.system.installed import install, of_checkout, snapshot, without_code
from tests.system.machine import Machine, can_make_machines, machine

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="needs root, and the tools that make machines")

REMIT = "/usr/local/bin/remit"
# Stands for control: it holds the lock that an instance holds, and says where it runs.
HOLD = """
import fcntl, pathlib, sys
pathlib.Path("/run/remit/remit.json").write_text('{"pid": 12345}')
lock = open("/var/lib/remit/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    place = tmp_path / "machine"
    place.mkdir()
    with machine(place) as made:
        yield made


def test_every_file_is_put_back_byte_for_byte(host: Machine) -> None:
    before = snapshot(host)
    install(host)
    assert host.run(REMIT, "--version", user="ada").stdout.startswith("remit ")
    assert host.run("stat", "-c", "%U %a", "/var/lib/remit", "/etc/remit", "/opt/remit").stdout.split("\n")[:3] == [
        "remit 700",
        "root 750",
        "root 755",
    ]
    assert (
        host.run(
            "find", "/opt/remit", "(", "!", "-uid", "0", "-o", "-perm", "/022", "-a", "!", "-type", "l", ")"
        ).stdout
        == ""
    )
    host.run("touch", "/var/lib/remit/state.db")
    said = host.run(REMIT, "uninstall").stderr
    assert "uninstalled" in said
    assert snapshot(host) == before


def test_installing_twice_changes_nothing_more(host: Machine) -> None:
    install(host)
    once = snapshot(host)
    host.run(REMIT, "install", "--system", "--keep-tiocsti")
    assert snapshot(host) == once


def cut_short(host: Machine, step: int) -> dict[str, Any]:
    source, site = Path(remit.__file__).parents[1], Path(typer.__file__).parents[1]
    program = Path(__file__).parent / "cut_short.py"
    done = host.run("/usr/bin/python3", "-B", "-I", str(program), str(source), str(site), str(step), seconds=300.0)
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["changes"] > 50, done.stderr
    return said


def test_what_is_killed_on_its_way_is_put_back_all_the_same(host: Machine) -> None:
    assert cut_short(host, 9)["wrong"] == []


@pytest.mark.long
def test_what_is_killed_at_any_change_is_put_back_all_the_same(host: Machine) -> None:
    assert cut_short(host, 1)["wrong"] == []


def test_an_edit_is_never_lost(host: Machine) -> None:
    before = snapshot(host)
    without_code(host, "install")
    host.run("sh", "-c", "echo '# mine' >>/etc/pam.d/remit; echo '# mine' >>/etc/remit/config.toml")
    said = without_code(host, "uninstall")
    assert "/etc/pam.d/remit.remit-saved" in said
    assert "/etc/remit/config.toml.remit-saved" in said
    assert host.path("/etc/pam.d/remit.remit-saved").read_text().endswith("# mine\n")
    added = {path for path in snapshot(host) if path not in before}
    assert added == {
        "/etc/pam.d/remit.remit-saved",
        "/etc/remit",
        "/etc/remit/config.toml.remit-saved",
    }


def test_accounts_that_somebody_else_made_since_stay(host: Machine) -> None:
    without_code(host, "install")
    host.run("useradd", "--create-home", "carol")
    said = without_code(host, "uninstall")
    assert "only the account `remit` was taken out" in said
    names = {line.split(":")[0] for line in host.path("/etc/passwd").read_text().splitlines()}
    assert "carol" in names
    assert "remit" not in names


def test_the_log_stays_and_becomes_roots(host: Machine) -> None:
    before = snapshot(host)
    without_code(host, "install")
    host.run(
        "sh",
        "-c",
        "mkdir /var/lib/remit/audit; echo x >/var/lib/remit/audit/shard; chown -R remit /var/lib/remit/audit",
    )
    assert "the log stays: /var/lib/remit/audit" in without_code(host, "uninstall")
    after = snapshot(host)
    assert {path for path in after if path not in before} == {
        f"/var/lib/remit{rest}" for rest in ("", "/audit", "/audit/shard")
    }
    assert host.run("stat", "-c", "%U", "/var/lib/remit", "/var/lib/remit/audit/shard").stdout == "root\nroot\n"
    without_code(host, "install")
    assert host.run("stat", "-c", "%U", "/var/lib/remit/audit/shard").stdout == "remit\n"
    without_code(host, "uninstall")
    assert snapshot(host) == after
    without_code(host, "install")
    of_checkout(host, "uninstall", "--with-log")
    assert snapshot(host) == before


def test_a_log_that_stayed_can_still_be_removed(host: Machine) -> None:
    before = snapshot(host)
    without_code(host, "install")
    host.run("mkdir", "/var/lib/remit/audit")
    without_code(host, "uninstall")
    assert "nothing is installed here" in of_checkout(host, "uninstall").stderr
    assert host.path("/var/lib/remit/audit").is_dir()
    assert "the log of an earlier installation is removed" in of_checkout(host, "uninstall", "--with-log").stderr
    assert snapshot(host) == before


def test_a_directory_that_was_there_before_stays(host: Machine) -> None:
    host.run("mkdir", "-m", "750", "/var/lib/remit")
    before = snapshot(host)
    without_code(host, "install")
    of_checkout(host, "uninstall", "--with-log")
    assert snapshot(host) == before


def test_a_persons_account_of_that_name_is_refused_before_anything_is_touched(host: Machine) -> None:
    host.run("useradd", "--create-home", "--shell", "/bin/bash", "remit")
    before = snapshot(host)
    said = of_checkout(host, "install", "--system", check=False)
    assert said.returncode == 1
    assert "the account `remit` is a person's" in said.stderr
    assert snapshot(host) == before


def test_a_newer_versions_state_is_refused_before_anything_is_touched(host: Machine) -> None:
    make = (
        "import sqlite3; c = sqlite3.connect('/var/lib/remit/state.db');"
        "c.execute('create table alembic_version (version_num)');"
        "c.execute('insert into alembic_version values (9999)'); c.commit()"
    )
    host.run("mkdir", "/var/lib/remit")
    host.run("/usr/bin/python3", "-I", "-c", make)
    before = snapshot(host)
    said = of_checkout(host, "install", "--system", check=False)
    assert "written by a newer version of Remit (revision `9999`)" in said.stderr
    assert snapshot(host) == before


def test_only_root_installs(host: Machine) -> None:
    before = snapshot(host)
    plan = of_checkout(host, "install", "--system", "--dry-run").stdout
    assert "would change  /etc/pam.d/remit" in plan
    assert snapshot(host) == before


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_unit(host: Machine) -> None:
    without_code(host, "install")
    host.run("ln", "-s", "/bin/true", "/usr/local/bin/remit")
    done = host.run("systemd-analyze", "verify", "/etc/systemd/system/remit.service", check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_installation_is_trusted_until_somebody_can_write_it(host: Machine) -> None:
    install(host)
    packages = next(host.path("/opt/remit").glob("0*/lib/python3*/site-packages"))
    check = (
        "/opt/remit/current/bin/python",
        "-I",
        "-c",
        "from remit.install.code_trust import check_code; check_code(0)",
    )
    host.run(*check, user="ada")
    maps = host.run(*check[:3], "import ssl; print(open('/proc/self/maps').read())", user="remit").stdout
    assert {line.rsplit("/lib/", 1)[0].rsplit(" ", 1)[-1] for line in maps.splitlines() if "libpython" in line} <= {
        str(Path("/opt/remit") / packages.parents[2].name / "python")
    }
    planted = packages / "planted.pth"
    planted.write_text("import os\n")
    assert "planted.pth" in host.run(*check, user="ada", check=False).stderr
    planted.unlink()
    (packages / "remit" / "errors.py").chmod(0o666)
    assert "errors.py" in host.run(*check, user="ada", check=False).stderr


def test_uninstalling_waits_until_it_is_stopped(host: Machine) -> None:
    without_code(host, "install")
    running = host.start("/usr/bin/python3", "-I", "-c", HOLD)
    assert running.stdout is not None
    running.stdout.readline()
    said = of_checkout(host, "uninstall", check=False)
    assert said.returncode == 1
    assert "remit runs here (pid 12345)" in said.stderr
    assert host.path("/etc/pam.d/remit").exists()
    for pipe in (running.stdin, running.stdout, running.stderr):
        assert pipe is not None
        pipe.close()
    running.wait(10)
    host.run("/usr/sbin/nft", "add", "table", "inet", "remit")  # as a killed one leaves it
    assert "uninstalled" in of_checkout(host, "uninstall").stderr
    assert host.run("/usr/sbin/nft", "list", "ruleset").stdout == ""
