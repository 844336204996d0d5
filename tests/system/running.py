"""The whole machine's Remit, in a machine of a test's own: root's code, started by root, used by people."""

import json
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import remit
from tests.system.machine import Machine

SOURCE = Path(remit.__file__).parents[1]
READY_SECONDS = 40
APPEARS_SECONDS = 10
CONFIG = """
[roles]
administrator = ["root"]
[discovery]
look = {look}
[gateway]
port = {port}
"""

# An interpreter and code that everybody can read and only root can write, by way of mounts of this checkout, which
# may lie below a directory that others can write.
_CODE = """
set -e
/usr/bin/python3 -m venv --without-pip /opt/remit/venv
site=$(echo /opt/remit/venv/lib/python3*/site-packages)
mkdir /opt/remit/over
mount -t tmpfs -o mode=755 tmpfs /opt/remit/over
mkdir /opt/remit/over/upper /opt/remit/over/work
mount -t overlay overlay -o lowerdir={packages},upperdir=/opt/remit/over/upper,workdir=/opt/remit/over/work $site
rm -f $site/_editable_impl_remit.pth
find $site ! -perm -o=r -exec chmod a+rX {{}} +  # compiled by somebody with a narrower umask
mkdir $site/remit
mount --bind {source}/remit $site/remit
printf '%s\\n' '#!/opt/remit/venv/bin/python -I' 'from remit.cli import main' 'main()' > /usr/local/bin/remit
chmod 755 /usr/local/bin/remit
"""
_PLACES = """
set -e
useradd --system --no-create-home --shell /usr/sbin/nologin remit
install -d -o remit -g remit -m 700 /var/lib/remit
install -d -o remit -g remit -m 755 /etc/remit
"""
PYTHON = "/opt/remit/venv/bin/python"


def put_code(machine: Machine) -> None:
    packages = SOURCE.parent / ".venv/lib/python3.11/site-packages"
    machine.run("sh", "-c", _CODE.format(source=SOURCE, packages=packages))


def put_places(machine: Machine, config: str = "", *, look: bool = True, port: int = 7400) -> None:
    machine.run("sh", "-c", _PLACES)
    text = config or CONFIG.format(look=str(look).lower(), port=port)
    machine.run("sh", "-c", "cat > /etc/remit/config.toml", stdin=text)


class SystemRemit:
    """One running `remit up --system --json`, as root typed it."""

    def __init__(self, machine: Machine, *under: str) -> None:
        """`under` is what it is started by, such as `setpriv` with less than root has."""
        self.machine = machine
        self.events: list[dict[str, Any]] = []
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.process = machine.start(*under, "remit", "up", "--system", "--json")
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)

    def event(self, name: str, seconds: float = READY_SECONDS) -> dict[str, Any]:
        while True:
            event = self._queue.get(timeout=seconds)
            if event is None:
                said = self.process.stderr.read().decode() if self.process.stderr else ""
                raise AssertionError(f"remit ended before `{name}`: {self.events} {said}")
            self.events.append(event)
            if event["event"] == name:
                return event

    def said(self, user: str, *arguments: str) -> Any:
        """The JSON answer to a command of `user`'s."""
        return json.loads(self.machine.run("remit", *arguments, "--json", user=user).stdout)

    def pid_inside(self, what: str) -> int:
        """The one process whose command line has `what`, by its number in the machine; waited for."""
        deadline = time.monotonic() + APPEARS_SECONDS
        while len(found := self.machine.run("pgrep", "-f", what, check=False).stdout.split()) != 1:
            assert time.monotonic() < deadline, (what, found)
            time.sleep(0.1)
        return int(found[0])

    def stop(self) -> int:
        if self.process.poll() is None:
            self.machine.run("pkill", "-TERM", "-f", "remit up --system", check=False)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            return self.process.wait(5)
        finally:
            self._reader.join(5)
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()
