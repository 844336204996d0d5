"""From root to Remit's own uid: its directories made ready, a few capabilities kept to be passed on, nothing else."""

import os
import pwd
import stat
from pathlib import Path
from typing import Final, NoReturn

from remit.errors import StateError
from remit.sandbox import capabilities
from remit.sandbox.hardening import close_fds

PASSED_ON: Final = frozenset({capabilities.CAP_SYS_PTRACE, capabilities.CAP_DAC_READ_SEARCH})  # to the attestor
IF_HELD: Final = frozenset({capabilities.CAP_NET_ADMIN})  # to the fence; many a container leaves root none
ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_INSTALL: Final = "`remit install --system` makes it"


def account_of(name: str) -> pwd.struct_passwd:
    """The account that Remit runs as; raises StateError unless this is root and there is one, not root's."""
    if os.geteuid() != 0:
        raise StateError("system mode is started by root", hint="`sudo remit up --system`, or its systemd unit")
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise StateError(f"there is no account `{name}` on this machine", hint=_INSTALL) from None
    if account.pw_uid == 0:
        raise StateError(f"the account `{name}` is root's own: it guards nothing", hint=_INSTALL)
    return account


def prepare_run(path: Path, account: pwd.struct_passwd) -> None:
    """The directory of the sockets, which everybody may pass through and only `account` write to.

    Held by a descriptor and never through a link: that nobody but root can make it in /run is not relied on.
    """
    try:
        path.mkdir(mode=0o755, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_uid not in {0, account.pw_uid}:
                raise StateError(f"`{path}` is somebody else's", hint="see whose it is, and move it away")
            os.fchmod(fd, 0o755)
            os.fchown(fd, account.pw_uid, account.pw_gid)
        finally:
            os.close(fd)
    except OSError as error:
        raise StateError(f"`{path}` can't be used: {error.strerror}") from error


def check_state(path: Path, account: pwd.struct_passwd) -> None:
    """Raise StateError unless `path` is a directory of that account's: what is missing was never installed."""
    try:
        facts = path.lstat()
    except OSError as error:
        raise StateError(f"`{path}` can't be used: {error.strerror}", hint=_INSTALL) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != account.pw_uid:
        raise StateError(f"`{path}` is not a directory of `{account.pw_name}`", hint=_INSTALL)


def become(account: pwd.struct_passwd) -> None:
    """Be `account` for good, with PASSED_ON and IF_HELD to pass on; raises StateError unless that came of it.

    1. its groups and its uid, the permitted capabilities kept through that
    2. of these only those, in the bounding set as well; ambient, so that they pass through the next execve
    3. nothing that is executed from here on gains more
    """
    try:
        kept = PASSED_ON | (IF_HELD & capabilities.held())
        # 1
        capabilities.keep_through_setuid()
        os.initgroups(account.pw_name, account.pw_gid)
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        # 2
        capabilities.keep(kept)
        capabilities.ambient(kept)
        # 3
        capabilities.no_new_privileges()
    except OSError as error:
        raise StateError(
            f"can't become `{account.pw_name}`: {error.strerror}",
            hint="a container must leave root CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_SYS_PTRACE "
            "and CAP_DAC_READ_SEARCH",
        ) from error
    if os.getresuid() != (account.pw_uid,) * 3 or os.getresgid() != (account.pw_gid,) * 3:
        raise StateError(f"this did not become `{account.pw_name}`")
    if capabilities.held() != kept:
        raise StateError(f"as `{account.pw_name}` this holds other capabilities than it should")


def execute(command: list[str], keep: frozenset[int]) -> NoReturn:
    """Be another program: from /, with a clean environment, nothing readable for others, and only `keep` open."""
    close_fds({0, 1, 2, *keep})
    for descriptor in keep:
        os.set_inheritable(descriptor, True)
    os.umask(0o077)
    os.chdir("/")
    os.execve(command[0], command, ENVIRONMENT)  # noqa: S606 (no shell is wanted)


def give_up_all() -> None:
    """Hold no capability any more and be able to pass none on; raises StateError if one is left."""
    try:
        capabilities.drop_all()
    except OSError as error:
        raise StateError(f"capabilities can't be given up: {error.strerror}") from error
    left = [
        line
        for line in Path("/proc/thread-self/status").read_text("ascii").splitlines()
        if line.startswith(("CapInh:", "CapPrm:", "CapEff:", "CapAmb:")) and int(line.split()[1], 16)
    ]
    if left:
        raise StateError(f"capabilities are left: {', '.join(' '.join(line.split()) for line in left)}")
