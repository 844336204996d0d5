"""The account whose uid is Remit's own: judged when it is there, made with useradd(8), and put back."""

import contextlib
import fcntl
import grp
import pwd
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from remit.config.places import SYSTEM_ACCOUNT
from remit.errors import StateError
from remit.install.journal import Change, Journal
from remit.install.places import ACCOUNT_FILES
from remit.install.standing import look, put

LOGIN_DEFS: Final = Path("/etc/login.defs")
SYS_UID_MAX: Final = 999  # login.defs(5)
NO_LOGIN: Final = ("/nologin", "/false")
LOCK: Final = Path("/etc/.pwd.lock")  # lckpwdf(3)
LOCK_SECONDS: Final = 15.0
RUN_SECONDS: Final = 30.0
_LATER: Final = "run this again when that is done"
HOW: Final = (
    *("--system", "--user-group", "--no-log-init", "--no-create-home"),
    *("--home-dir", "/var/lib/remit", "--shell", "/usr/sbin/nologin"),
)


def find_account() -> pwd.struct_passwd | None:
    """Remit's account if it is there; raises StateError when a person's has its name."""
    try:
        entry = pwd.getpwnam(SYSTEM_ACCOUNT)
    except KeyError:
        return None
    if not 0 < entry.pw_uid <= _system_uids() or not entry.pw_shell.endswith(NO_LOGIN):
        raise StateError(
            f"the account `{SYSTEM_ACCOUNT}` is a person's (uid {entry.pw_uid}, shell {entry.pw_shell or 'none'})",
            hint="Remit needs that name for an account of its own that nobody logs in with: rename this one",
        )
    try:
        grp.getgrgid(entry.pw_gid)
    except KeyError:
        raise StateError(f"the account `{SYSTEM_ACCOUNT}` has a group that is not there ({entry.pw_gid})") from None
    return entry


def make_account(journal: Journal) -> None:
    """Make it unless it is there. What an earlier try was cut short in is finished."""
    if find_account() is None:
        if shutil.which("useradd") is None:
            raise StateError("there is no `useradd` here", hint=f"make a system account `{SYSTEM_ACCOUNT}` yourself")
        journal.before_account(ACCOUNT_FILES)
        _run("useradd", *HOW, SYSTEM_ACCOUNT)
    begun = [change.path for change in journal.changes() if change.account and change.put is None]
    journal.after_account(begun)


def put_account_back(changes: list[Change]) -> bool:
    """Byte for byte where nobody else wrote since, by userdel(8) where somebody did; says whether somebody did."""
    with _locked():
        ours = [change for change in changes if look(change.path) in {change.was, change.put}]
        if len(ours) == len(changes):
            _restore(changes)
            return False
    if find_account() is not None:
        _run("userdel", SYSTEM_ACCOUNT)
    _restore([change for change in changes if change in ours or _main_is_as_it_was(change, changes)])
    return any(look(change.path) != change.was for change in changes)


def _main_is_as_it_was(change: Change, changes: list[Change]) -> bool:
    """Whether the file that this one is the backup of reads as before: then nobody else wrote either."""
    main = Path(str(change.path).removesuffix("-"))
    return any(other.path == main and look(main) == other.was for other in changes)


def _restore(changes: list[Change]) -> None:
    for change in reversed(changes):  # the lock itself last
        if look(change.path) != change.was:
            put(change.path, change.was)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Hold what lckpwdf(3) holds, by a lock that reading the file does not give up (F_OFD_SETLK, fcntl(2))."""
    if not LOCK.exists():
        yield
        return
    with LOCK.open("r+b") as file:
        _lock(file.fileno())
        yield


def _lock(fd: int) -> None:
    """Raises StateError when somebody else holds it for as long as lckpwdf(3) would wait."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("@hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
        except (BlockingIOError, PermissionError):
            if time.monotonic() > deadline:
                raise StateError(f"`{LOCK}` is held: somebody changes accounts", hint=_LATER) from None
            time.sleep(0.1)
        else:
            return


def _system_uids() -> int:
    try:
        lines = [line.split() for line in LOGIN_DEFS.read_text().splitlines()]
    except OSError:
        return SYS_UID_MAX
    return next((int(line[1]) for line in lines if line[:1] == ["SYS_UID_MAX"] and line[1:]), SYS_UID_MAX)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    if done.returncode != 0:
        raise StateError(f"`{command[0]}` failed: {done.stderr.strip()}", hint="mend that and run this again")
