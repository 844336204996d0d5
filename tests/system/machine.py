"""A machine of a test's own: private mounts, processes and loopback, people with homes, and nothing of it left after.

Made of three namespaces (mount, pid, network; namespaces(7)) and overlays over the directories that an installation
writes to, so that what happens in it happens to no other machine. Needs root. Ends with its first process.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

WRITABLE = ("etc", "var/lib", "run", "opt", "usr/local", "home", "tmp")
PEOPLE = ("ada", "bob")
PASSWORDS = {"ada": "correct horse battery", "bob": "staple of bob"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RUN_SECONDS = 60.0

# The first process: it mounts, makes the people, says so, and then reaps until its input closes.
_BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs {place}
for d in {writable}; do
  n=$(echo $d | tr / _); mkdir -p {place}/$n.upper {place}/$n.work
  chmod --reference=/$d {place}/$n.upper
  mount -t overlay overlay -o lowerdir=/$d,upperdir={place}/$n.upper,workdir={place}/$n.work /$d
done
mount -t proc proc /proc
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx
ip link set lo up
for name in {people}; do
  useradd --create-home --shell /bin/bash $name
  chmod 700 /home/$name
done
echo ready
exec {python} -I -c '
import os, select, signal
signal.signal(signal.SIGCHLD, lambda *_: None)
while not select.select([0], [], [], 0.2)[0]:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
'
"""


class Machine:
    """A running one. `place` is a directory on the real machine, empty before and after."""

    def __init__(self, place: Path, python: str = "/usr/bin/python3") -> None:
        self.place = place
        script = _BOOT.format(place=place, writable=" ".join(WRITABLE), people=" ".join(PEOPLE), python=python)
        self._unshare = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._unshare.stdout is not None
        assert self._unshare.stderr is not None
        ready = select.select([self._unshare.stdout], [], [], 30.0)[0]
        if not ready or self._unshare.stdout.readline() != b"ready\n":
            self._unshare.kill()
            raise AssertionError(f"the machine did not start: {self._unshare.stderr.read().decode()}")
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
        self._init = int(children[0])
        for name, password in PASSWORDS.items():
            self.run("chpasswd", stdin=f"{name}:{password}\n")

    def command(self, *arguments: str, user: str = "root") -> list[str]:
        """What to start on the real machine so that `arguments` runs in this one, as `user`, at their home."""
        enter = ["nsenter", "--target", str(self._init), "--mount", "--pid", "--net"]
        if user == "root":
            return [*enter, "--wdns=/root", *arguments]
        become = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--inh-caps=-all", "--"]
        return [*enter, f"--wdns=/home/{user}" if user in PEOPLE else "--wdns=/", *become, *arguments]

    def environ(self, user: str = "root", **more: str) -> dict[str, str]:
        home = "/root" if user == "root" else f"/home/{user}"
        return {"PATH": PATH, "HOME": home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8", "TERM": "xterm", **more}

    def run(
        self,
        *arguments: str,
        user: str = "root",
        stdin: str = "",
        check: bool = True,
        environ: Mapping[str, str] | None = None,
        seconds: float = RUN_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end."""
        done = subprocess.run(  # noqa: PLW1510 (asserted below, with what it said)
            self.command(*arguments, user=user),
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environ(user, **(environ or {})),
            timeout=seconds,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def start(
        self, *arguments: str, user: str = "root", environ: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in it. The caller ends it, or the machine's end does."""
        return subprocess.Popen(
            self.command(*arguments, user=user),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ(user, **(environ or {})),
        )

    def path(self, inside: str) -> Path:
        """A path in it, as it is reached from the real machine."""
        return Path(f"/proc/{self._init}/root{inside}")

    def wait_for(self, inside: str, seconds: float = 20.0) -> None:
        """Wait until something is at a path in it."""
        deadline = time.monotonic() + seconds
        while not os.path.lexists(self.path(inside)):
            assert time.monotonic() < deadline, f"`{inside}` did not appear"
            time.sleep(0.05)

    def stop(self) -> None:
        """End every process in it, and all it wrote."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGKILL)  # a pid namespace ends with its first process
        self._unshare.wait(20)
        for pipe in (self._unshare.stdin, self._unshare.stdout, self._unshare.stderr):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def machine(place: Path) -> Iterator[Machine]:
    """A machine for a `with` block."""
    running = Machine(place)
    try:
        yield running
    finally:
        running.stop()


def can_make_machines() -> bool:
    """Root, with the tools: elsewhere these tests are skipped and say so."""
    return os.getuid() == 0 and all(map(shutil.which, ("unshare", "nsenter", "setpriv", "useradd", "chpasswd")))


def tree(machine: Machine, places: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every file below `places` in it: type, mode, owner, group, and content's SHA-256 or a link's target."""
    script = (
        "import hashlib,os,stat,sys\n"
        "for top in sys.argv[1:]:\n"
        "  for at, dirs, files in os.walk(top):\n"
        "    for name in [*dirs, *files, '.']:\n"
        "      path = os.path.join(at, name) if name != '.' else at\n"
        "      s = os.lstat(path)\n"
        "      what = os.readlink(path) if stat.S_ISLNK(s.st_mode) else ''\n"
        "      if stat.S_ISREG(s.st_mode): what = hashlib.sha256(open(path, 'rb').read()).hexdigest()\n"
        "      print(path, oct(s.st_mode), s.st_uid, s.st_gid, what, sep='\\0')\n"
    )
    said = machine.run("/usr/bin/python3", "-I", "-c", script, *places).stdout
    rows = (line.split("\0") for line in said.splitlines())
    return {row[0]: tuple(row[1:]) for row in rows}
