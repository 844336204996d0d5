"""Terminals in a machine: whose keys a test presses and whose screen it reads."""

import contextlib
import os
import re
import select
import subprocess
import time
from pathlib import Path

from tests.system.machine import Machine

KEYBOARD = Path(__file__).parent / "keyboard.py"
ALLOWED = "/usr/local/bin/keyboard"  # the program that [proof] terminals names: an interpreter under another name
OTHER = "/usr/bin/python3"
SHELL = ("bash", "--norc", "--noprofile", "-i")
PATIENCE = 25.0


def put_keyboard(machine: Machine) -> None:
    machine.run("sh", "-c", f"cp -L {OTHER} {ALLOWED} && chmod 755 {ALLOWED}")


class Terminal:
    """A shell of one user's on a terminal of their own. `program` holds its other end."""

    def __init__(
        self, machine: Machine, user: str, program: str = ALLOWED, command: tuple[str, ...] = SHELL, **environ: str
    ) -> None:
        held = (program, "-B", str(KEYBOARD), *command)
        self._start(machine, machine.start(*held, user=user, environ={"PYTHONHOME": "/usr", "PS1": "> ", **environ}))

    def _start(self, machine: Machine, process: "subprocess.Popen[bytes]") -> None:
        self.machine, self.process, self.screen = machine, process, ""
        assert process.stdout is not None
        assert process.stdin is not None
        self._shown, self._keys = process.stdout.fileno(), process.stdin

    def press(self, keys: str) -> None:
        self._keys.write(keys.encode())
        self._keys.flush()

    def enter(self, line: str) -> None:
        """A line at the shell."""
        self.press(line + "\n")

    def shows(self, pattern: str, seconds: float = PATIENCE) -> str:
        """Wait until the screen shows it; what it showed up to there is forgotten, and returned."""
        end = time.monotonic() + seconds
        while (found := re.search(pattern, self.screen)) is None:
            assert time.monotonic() < end, f"`{pattern}` is not on the screen: {self.screen!r}"
            self.look(0.2)
        told, self.screen = self.screen[: found.end()], self.screen[found.end() :]
        return told

    def look(self, seconds: float) -> str:
        """What it shows now, after at most that long."""
        end = time.monotonic() + seconds
        while select.select([self._shown], [], [], max(0.0, end - time.monotonic()))[0]:
            said = os.read(self._shown, 65536)
            if not said:
                break
            self.screen += said.decode(errors="replace")
            if self.screen:
                break
        return self.screen

    def run(self, command: str) -> None:
        """Enter a command whose end is told by its status: `said` waits for that."""
        self.enter(f'{command}; echo "status=$?"')

    def said(self, seconds: float = PATIENCE) -> tuple[int, str]:
        """(status, all it showed) of what `run` began."""
        told = self.shows(r"status=\d+\r", seconds)
        return int(told.rpartition("status=")[2].strip()), told

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.press("\x03\nexit\n")
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self.process.wait(10)


SSH_PORT = 2222
_SSHD = """
set -e
mkdir -p /run/sshd && chmod 755 /run/sshd
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/of-test
ssh-keygen -q -t ed25519 -N '' -f /root/of-ada
install -d -o ada -g ada -m 700 /home/ada/.ssh
install -o ada -g ada -m 600 /root/of-ada.pub /home/ada/.ssh/authorized_keys
/usr/sbin/sshd -p {port} -h /etc/ssh/of-test -o UsePAM=no -o PidFile=none -o PrintMotd=no -o PrintLastLog=no
"""


def start_sshd(machine: Machine) -> None:
    """The machine's own ssh server, on its loopback, with a key of ada's that root holds."""
    machine.run("mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", "/root")
    machine.run("sh", "-c", _SSHD.format(port=SSH_PORT))


def start_own_sshd(machine: Machine, port: int) -> None:
    """An ssh server that ada started herself, as any program of hers can."""
    key = "/home/ada/of-mine"
    machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, user="ada")
    machine.run("/usr/sbin/sshd", "-p", str(port), "-h", key, "-o", "UsePAM=no", "-o", "PidFile=none", user="ada")


class SshTerminal(Terminal):
    """A shell of ada's over ssh, as from another machine."""

    def __init__(self, machine: Machine, port: int = SSH_PORT) -> None:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        given = [word for option in options for word in ("-o", option)]
        to = ("-p", str(port), "-i", "/root/of-ada", "ada@127.0.0.1")
        shell = f"exec env PS1='> ' {' '.join(SHELL)}"
        self._start(machine, machine.start("ssh", "-tt", "-F", "none", *given, *to, shell))
