"""Tells systemd, where it runs, what was installed or is about to be put back."""

import subprocess
from typing import Final

from remit.errors import StateError

UNIT: Final = "remit.service"
RUN_SECONDS: Final = 90.0


def start() -> None:
    """Read the unit anew, and start it or start it again with the code that is current now."""
    _systemctl("daemon-reload")
    _systemctl("restart", UNIT)


def forget() -> None:
    """The unit was put back: read what is there now."""
    _systemctl("daemon-reload")


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    if done.returncode != 0:
        raise StateError(
            f"`systemctl {' '.join(arguments)}` failed: {done.stderr.strip()}", hint="journalctl -u remit"
        )
