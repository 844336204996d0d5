"""Installing where something is wrong: refused before anything is touched, or said, and gone on with or put back."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.installed import REMIT, of_checkout, snapshot, without_code
from tests.system.machine import Machine, can_make_machines, machine

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="needs root, and the tools that make machines")

INSTALL = ("install", "--system", "--keep-tiocsti")
# What passwd(1) and the like hold while they write (lckpwdf(3)), and what an installation holds.
HOLD_ACCOUNTS = (
    "import fcntl, struct, sys; f = open('/etc/.pwd.lock', 'w');"
    "fcntl.fcntl(f, fcntl.F_SETLK, struct.pack('@hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0));"
    "print('held', flush=True); sys.stdin.read()"
)
HOLD_INSTALLATION = (
    "import fcntl, os, sys; lock = os.open('/run/remit-install.lock', os.O_RDWR | os.O_CREAT, 0o600);"
    "fcntl.flock(lock, fcntl.LOCK_EX);"
    "print('held', flush=True); sys.stdin.read()"
)
# All that somebody who may read them can hold of the places that an installation writes to.
HOLD_WHAT_ANYBODY_CAN = (
    "import fcntl, os, sys\n"
    "for at in '/ /etc /var /var/lib /run /opt /usr/local /etc/passwd /run/remit-install.lock'.split():\n"
    "  try: fcntl.flock(os.open(at, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "  except OSError: pass\n"
    "print('held', flush=True); sys.stdin.read()"
)
# A visudo that takes what it is given, or does not; and says so as the real one does.
VISUDO = "#!/bin/sh\ncat >/tmp/seen\n{}\n"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    place = tmp_path / "machine"
    place.mkdir()
    with machine(place) as made:
        yield made


@contextlib.contextmanager
def held(host: Machine, program: str, user: str = "root") -> Iterator[None]:
    holder = host.start("/usr/bin/python3", "-I", "-c", program, user=user)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stderr is not None
    assert holder.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        holder.stdin.close()
        holder.wait(10)
        holder.stdout.close()
        holder.stderr.close()


def refused(host: Machine, *command: str) -> str:
    """That it is, with nothing changed; the error."""
    before = snapshot(host)
    done = of_checkout(host, *command, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "hint:" in done.stderr
    assert snapshot(host) == before
    return done.stderr


def test_a_machine_that_can_not_take_it_is_left_as_it_is(host: Machine) -> None:
    with held(host, HOLD_INSTALLATION):
        assert "another installation or uninstallation is under way" in refused(host, *INSTALL)
        assert "another installation or uninstallation is under way" in refused(host, "uninstall")
    with held(host, HOLD_WHAT_ANYBODY_CAN, user="ada"):
        assert "nothing is installed here" in of_checkout(host, "uninstall").stderr
    assert not host.path("/run/remit-install.lock").exists()
    host.run("mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", "/opt")
    assert "`/opt` is mounted noexec" in refused(host, *INSTALL)
    host.run("umount", "/opt")
    host.run("mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", "/opt")
    assert "`/opt` has no room" in refused(host, *INSTALL, "--dry-run")
    host.run("umount", "/opt")
    host.run("mount", "-o", "remount,ro", "/etc")
    assert "`/etc` is read-only" in refused(host, *INSTALL)
    user = host.run(sys.executable, "-B", "-I", "-c", REMIT, *INSTALL, user="ada", check=False)
    assert "only root can install" in user.stderr
    assert "only root can uninstall" in of_ada(host, "uninstall").stderr


def of_ada(host: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    return host.run(sys.executable, "-B", "-I", "-c", REMIT, *arguments, user="ada", check=False)


def test_a_disk_that_is_full_half_way_is_said_and_nothing_is_lost(host: Machine) -> None:
    host.run("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", "/var/lib")
    before = snapshot(host)
    host.run("sh", "-c", "head -c 1020000 /dev/zero >/var/lib/full", check=False)
    done = of_checkout(host, *INSTALL, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    host.run("rm", "/var/lib/full")
    of_checkout(host, "uninstall")
    assert snapshot(host) == before


@pytest.mark.long
def test_files_are_as_they_should_be_under_any_umask(host: Machine) -> None:
    before = snapshot(host)
    for umask in ("0", "777"):
        command = [sys.executable, "-B", "-I", "-c", REMIT, *INSTALL]
        host.run("sh", "-c", f'umask {umask}; exec "$@"', "-", *command, seconds=120.0)
        places = ("/etc/remit", "/var/lib/remit", "/var/lib/remit-install", "/opt/remit", "/etc/pam.d/remit")
        assert host.run("find", *places, "!", "-type", "l", "-perm", "/022").stdout == ""
        assert host.run("/usr/local/bin/remit", "--version", user="ada").stdout.startswith("remit ")
        host.run("sh", "-c", f'umask {umask}; exec "$@"', "-", *command[:-3], "uninstall", "--with-log")
        assert snapshot(host) == before


def put_visudo(host: Machine, verdict: str) -> None:
    host.run("mkdir", "-p", "/etc/sudoers.d")
    host.run(
        "sh", "-c", "cat >/usr/local/sbin/visudo; chmod 755 /usr/local/sbin/visudo", stdin=VISUDO.format(verdict)
    )


def test_what_sudo_would_not_take_is_never_put_there(host: Machine) -> None:
    put_visudo(host, "echo '>>> stdin: syntax error near line 3 <<<' >&2; exit 1")
    assert "this machine's sudo does not take" in refused(host, *INSTALL)
    assert "--keep-sudo-cache" in refused(host, *INSTALL)
    plan = of_checkout(host, *INSTALL, "--keep-sudo-cache", "--dry-run")
    assert "/etc/sudoers.d/remit" not in plan.stdout
    put_visudo(host, "exit 0")
    before = snapshot(host)
    without_code(host, "install")
    text = host.path("/etc/sudoers.d/remit").read_text()
    assert text == host.path("/tmp/seen").read_text()
    assert host.run("stat", "-c", "%a %U", "/etc/sudoers.d/remit").stdout == "440 root\n"
    without_code(host, "uninstall")
    assert snapshot(host) == before


def test_sudo_without_its_checker_is_left_alone_and_that_is_said(host: Machine) -> None:
    host.run("mkdir", "-p", "/etc/sudoers.d")
    done = of_checkout(host, *INSTALL, "--dry-run")
    assert "/etc/sudoers.d/remit" not in done.stdout
    assert "`visudo`" in done.stderr


@pytest.mark.long
def test_accounts_that_somebody_changes_are_waited_for_and_then_said(host: Machine) -> None:
    before = snapshot(host)
    host.run("touch", "/etc/.pwd.lock")
    with held(host, HOLD_ACCOUNTS):
        done = of_checkout(host, *INSTALL, check=False)
        assert "`useradd` failed" in done.stderr
    without_code(host, "install")
    with held(host, HOLD_ACCOUNTS):
        done = of_checkout(host, "uninstall", check=False)
        assert "`/etc/.pwd.lock` is held" in done.stderr
    of_checkout(host, "uninstall")
    assert {path for path, _ in snapshot(host).items() ^ before.items()} <= {"/etc/.pwd.lock"}
