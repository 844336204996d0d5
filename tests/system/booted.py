"""A machine with a real systemd as its first process, which knows no unit but those of the test and of /etc.

It reads its units from a directory of the test's own, so that nothing of the real machine's start (clean-up of /tmp,
sysctl, modules) happens; /proc/sys is read-only in it, and /tmp, /run and all that is written to are its own.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
TARGETS = ("sysinit", "basic", "multi-user", "network", "shutdown", "umount", "default")
WRITABLE = ("etc", "var", "opt", "usr/local", "home", "root")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs {place}
for d in {writable}; do
  n=$(echo $d | tr / _); mkdir -p {place}/$n.upper {place}/$n.work
  chmod --reference=/$d {place}/$n.upper
  mount -t overlay overlay -o lowerdir=/$d,upperdir={place}/$n.upper,workdir={place}/$n.work /$d
done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
rm -rf /etc/systemd/system/*
mkdir /run/units
for t in {targets}; do
  printf '[Unit]\\nDescription=%s\\nDefaultDependencies=no\\n' $t >/run/units/$t.target
done
ip link set lo up
cd /
exec env -i container=test PATH={path} SYSTEMD_UNIT_PATH=/run/units:/etc/systemd/system {systemd} --system \\
  --unit=multi-user.target --log-target=null --show-status=no
"""


class Booted:
    """One that runs."""

    def __init__(self, place: Path) -> None:
        self._group = _cgroup() / f"remit-test-{os.getpid()}"
        self._group.mkdir()
        script = _BOOT.format(
            place=place, writable=" ".join(WRITABLE), targets=" ".join(TARGETS), path=PATH, systemd=SYSTEMD
        )
        into = f"echo $$ >{self._group}/cgroup.procs; exec "
        namespaces = "unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child"
        self._unshare = subprocess.Popen(
            ["sh", "-c", into + namespaces + ' sh -c "$0"', script], stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._init = self._first()

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--target", str(self._init), "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]
        environ = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"}
        command = [*enter, "--wdns=/root", *arguments]
        done = subprocess.run(  # noqa: PLW1510 (asserted below, with what it said)
            command, capture_output=True, text=True, env=environ, timeout=120, stdin=subprocess.DEVNULL
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def until(self, wanted: str, *arguments: str, seconds: float = 40.0) -> str:
        """Run a command until it says `wanted`."""
        deadline = time.monotonic() + seconds
        while wanted not in (said := self.run(*arguments, check=False).stdout):
            assert time.monotonic() < deadline, f"{arguments}: {said}"
            time.sleep(0.2)
        return said

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGKILL)  # a pid namespace ends with its first process
        self._unshare.wait(20)
        for path in sorted((*self._group.rglob("*/"), self._group), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()

    def _first(self) -> int:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
            if children and Path(f"/proc/{children[0]}/comm").read_text() == "systemd\n":
                return int(children[0])
            time.sleep(0.05)
        self._unshare.kill()
        raise AssertionError("systemd did not start")


@contextlib.contextmanager
def booted(place: Path) -> Iterator[Booted]:
    machine = Booted(place)
    try:
        yield machine
    finally:
        machine.stop()


def can_boot() -> bool:
    """Root, systemd, and a cgroup2 hierarchy that can be written to."""
    tools = all(map(shutil.which, ("unshare", "nsenter", "systemctl", "ip")))
    return os.getuid() == 0 and SYSTEMD.exists() and tools and _writable(_cgroup())


def _cgroup() -> Path:
    return next((Path(one) for one in CGROUPS if Path(one, "cgroup.procs").exists()), Path(CGROUPS[0]))


def _writable(path: Path) -> bool:
    return (path / "cgroup.procs").exists() and not os.statvfs(path).f_flag & os.ST_RDONLY
