"""Where an installation puts what it makes (hier(7)); all of it root's."""

from pathlib import Path
from typing import Final

OPT: Final = Path("/opt/remit")
CURRENT: Final = OPT / "current"
COMMAND: Final = Path("/usr/local/bin/remit")

# Root's own, beside the state and not in it: what is put back as root may not be written by Remit's uid.
KEPT: Final = Path("/var/lib/remit-install")
JOURNAL: Final = KEPT / "journal.jsonl"
MOVED: Final = KEPT / "moved.json"
# Not a directory such as /var/lib: whoever can open one can lock it.
LOCK: Final = Path("/run/remit-install.lock")

UNIT: Final = Path("/etc/systemd/system/remit.service")
WANTED: Final = Path("/etc/systemd/system/multi-user.target.wants/remit.service")
TMPFILES: Final = Path("/etc/tmpfiles.d/remit.conf")
PAM: Final = Path("/etc/pam.d/remit")
SUDOERS: Final = Path("/etc/sudoers.d/remit")
SYSCTL: Final = Path("/etc/sysctl.d/60-remit.conf")
TIOCSTI: Final = Path("/proc/sys/dev/tty/legacy_tiocsti")

# What useradd(8) and userdel(8) write; passwd(5)'s lock first, since it may not have been there either.
ACCOUNT_FILES: Final = (
    Path("/etc/.pwd.lock"),
    *(
        Path(f"/etc/{name}{end}")
        for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
        for end in ("", "-")
    ),
)
