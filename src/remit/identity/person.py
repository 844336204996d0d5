"""The human who runs a command: by the kernel's login uid, else by sudo's word when root itself can vouch for it."""

import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from remit.errors import IdentityError
from remit.identity.process import Process

_HINT = "name the accountable person: `--owner NAME`"


@dataclass(frozen=True, slots=True)
class Person:
    """One human with an account on this host. `proof` is `loginuid` (the kernel's) or `sudo` (its environment)."""

    name: str
    uid: int
    proof: Literal["loginuid", "sudo"]


def person_of(login: int | None, effective_uid: int, environ: Mapping[str, str]) -> Person:
    """The human behind these facts. `login` is the audit login uid, None when unset.

    `SUDO_UID` and `SUDO_USER` are believed only of a process that runs as root, as anyone may set them otherwise.
    """
    if login is not None:
        return Person(_account(login).pw_name, login, "loginuid")
    if "SUDO_UID" not in environ and "SUDO_USER" not in environ:
        raise IdentityError("can't tell which person runs this: the kernel has no login uid for it", hint=_HINT)
    if effective_uid != 0:
        raise IdentityError("`SUDO_USER` is set, but this does not run as root: anyone could have set it", hint=_HINT)
    return _by_sudo(environ.get("SUDO_UID", ""), environ.get("SUDO_USER", ""))


def _by_sudo(uid: str, name: str) -> Person:
    if not (uid.isascii() and uid.isdigit()):
        raise IdentityError(f"`SUDO_UID` is `{uid}`, not a uid", hint=_HINT)
    if int(uid) == 0:
        raise IdentityError("`SUDO_USER` is root, which is no one person", hint=_HINT)
    account = _account(int(uid))
    if account.pw_name != name:
        raise IdentityError(
            f"`SUDO_USER` is `{name}`, but uid {uid} is `{account.pw_name}` in the password database", hint=_HINT
        )
    return Person(name, int(uid), "sudo")


def _account(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except (KeyError, OverflowError) as error:
        raise IdentityError(f"uid {uid} has no account in the password database", hint=_HINT) from error


def terminal_proof(process: Process) -> Literal["terminal", "uid"]:
    """`terminal` when the process is in the foreground of a controlling terminal, else only `uid`.

    Weak, and recorded as such: not checked here is whether a governed workload is among its ancestors.
    """
    return "terminal" if process.terminal is not None and process.foreground else "uid"
