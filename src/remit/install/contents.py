"""The text of each file that an installation writes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from remit.errors import StateError
from remit.policy.schema import STARTER_TEXT
from remit.tasks.profile import starters

_CONFIG: Final = """\
# Remit's settings for this machine. Every key, with its default: docs/configuration.md.
"""
_ADMINISTRATOR: Final = """
[roles]
administrator = [{}]  # who installed it; answers for what is nobody else's
"""
STARTER: Final = STARTER_TEXT
PROFILES: Final = starters()
RUN_DIRECTORY: Final = """\
# Remit's sockets (tmpfiles.d(5)).
d /run/remit 0755 remit remit -
"""
SUDOERS: Final = """\
# Written by `remit install --system`: sudo asks for the password each time. Otherwise a program that runs as a person
# uses the proof that the person gave for something else within the last minutes.
Defaults timestamp_timeout=0
"""
SYSCTL: Final = """\
# Written by `remit install --system`: no process types into a terminal in a person's place (TIOCSTI).
dev.tty.legacy_tiocsti = 0
"""


def config(administrator: str) -> str:
    """The settings at first. `administrator` is the account of whoever installs, or empty."""
    return _CONFIG + (_ADMINISTRATOR.format(json.dumps(administrator)) if administrator else "")


_PAM_DEBIAN: Final = "@include common-auth\n@include common-account\n"
_COUNTERS: Final = ("pam_faillock", "pam_tally")
PAM_DIRECTORY: Final = Path("/etc/pam.d")
_PAM_ELSEWHERE: Final = "auth     required pam_unix.so\naccount  required pam_unix.so\n"

# NoNewPrivileges: capabilities are only ever given up after the launcher; ambient ones need no set-user-ID program.
# No PrivateTmp: model servers have sockets there. ProtectHome=read-only: what runs is looked at where it lies.
# CAP_KILL: the root parent ends a child of another uid. CAP_NET_ADMIN: the fence around the servers' own ports.
UNIT: Final = """\
[Unit]
Description=Remit, the guard of this machine's model servers
Documentation=file:/etc/remit/config.toml
After=network.target

[Service]
Type=exec
ExecStart=/usr/local/bin/remit up --system
Restart=on-failure
KillMode=mixed
TimeoutStopSec=30
UMask=0077
LimitCORE=0
LimitNOFILE=65536
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_KILL CAP_NET_ADMIN
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths=/var/lib/remit /run/remit
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""


def pam(directory: Path = PAM_DIRECTORY) -> str:
    """The stack that the checker asks: the machine's own where Debian's common files are, else its passwords.

    Also where that stack counts wrong passwords itself: the checker can't write its counts (docs/checker.md).
    """
    head = "# How Remit checks a person's password (docs/install.md).\n"
    return head + (_PAM_DEBIAN if _common_does(directory) else _PAM_ELSEWHERE)


def _common_does(directory: Path) -> bool:
    try:
        stack = "".join((directory / f"common-{kind}").read_text(errors="replace") for kind in ("auth", "account"))
    except OSError:
        return False
    return not any(counter in line for line in stack.splitlines() if line[:1] != "#" for counter in _COUNTERS)


def has_sudo() -> bool:
    """Whether there is sudo, and what tells whether it takes a file."""
    return shutil.which("visudo") is not None and Path("/etc/sudoers.d").is_dir()


def sudo_unchecked() -> bool:
    """Whether sudo may be here, and nothing that tells whether it takes a file: it is left as it is then."""
    return shutil.which("visudo") is None and Path("/etc/sudoers.d").is_dir()


def check_sudoers() -> None:
    """Raises StateError when this machine's sudo would not take the file: a broken one stops every sudo."""
    done = subprocess.run(
        ["visudo", "-cf", "-"], input=SUDOERS, capture_output=True, text=True, timeout=30.0, check=False
    )
    if done.returncode != 0:
        raise StateError(
            f"this machine's sudo does not take `Defaults timestamp_timeout=0`: {done.stderr.strip()}",
            hint="leave it out: --keep-sudo-cache",
        )


def has_systemd() -> bool:
    return shutil.which("systemctl") is not None


def systemd_runs() -> bool:
    """sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()
