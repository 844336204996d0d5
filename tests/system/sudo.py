"""sudo in a machine of a test's own, for ada: from this machine, or from the package that tests/needs.sh unpacks."""

import shutil
import subprocess
from pathlib import Path

from remit.install.contents import SUDOERS
from tests.system.machine import PASSWORDS, Machine

UNPACKED = Path(__file__).parents[2] / ".venv" / "sudo"
_PUT = """
set -e
if [ -d {unpacked}/usr ]; then
  mkdir /run/local
  mount --bind /usr/local /run/local
  mount -t overlay overlay -o lowerdir={unpacked}/usr:/usr /usr
  mount --bind /run/local /usr/local
  umount /run/local
  rmdir /run/local
  cp -r {unpacked}/etc/. /etc/
fi
mkdir -p /run/sudo
printf 'ada ALL=(ALL) ALL\\n' > /etc/sudoers.d/ada
printf '%s' '{drop_in}' > /etc/sudoers.d/remit
chmod 440 /etc/sudoers /etc/sudoers.d/*
"""


def has_sudo() -> bool:
    """Whether there is one."""
    return shutil.which("sudo") is not None or UNPACKED.exists()


def put_sudo(machine: Machine, *, installed: bool) -> None:
    """Where there is one: ada may use it with her password; if `installed`, as `remit install` leaves it."""
    unpacked = UNPACKED.resolve()
    if has_sudo():
        drop_in = SUDOERS.replace("'", "") if installed else ""
        machine.run("sh", "-c", _PUT.format(unpacked="" if shutil.which("sudo") else unpacked, drop_in=drop_in))


def type_password(machine: Machine, into: str) -> "subprocess.Popen[bytes]":
    """Ada types her password into what waits for it there (a named pipe), as soon as it does."""
    machine.run("sh", "-c", f"rm -f {into} && mkfifo -m 600 {into}", user="ada")
    return machine.start("timeout", "20", "sh", "-c", f"echo '{PASSWORDS['ada']}' > {into}", user="ada")
