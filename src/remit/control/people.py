"""Who is a person on this machine: whoever can log in, and root; system accounts are nobody (login.defs(5))."""

import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.control.owner import FIRST_HUMAN_UID, LAST_HUMAN_UID
from remit.control.roles import ROOT
from remit.errors import IdentityError
from remit.identity import SpiffeId

LOGIN_DEFS: Final = Path("/etc/login.defs")
MAX_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class HumanUids:
    """Between which uids accounts are people's."""

    first: int = FIRST_HUMAN_UID
    last: int = LAST_HUMAN_UID

    def __contains__(self, uid: int) -> bool:
        return uid == ROOT or self.first <= uid <= self.last


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account. `refused` says why it can't act here, and is empty otherwise."""

    name: str
    uid: int
    refused: str = ""


def human_uids(login_defs: Path = LOGIN_DEFS) -> HumanUids:
    """As this machine's `login.defs` has them; its usual ones where it doesn't say."""
    try:
        text = login_defs.read_bytes()[:MAX_BYTES].decode(errors="replace")
    except OSError:
        return HumanUids()
    said = {words[0]: int(words[1]) for line in text.splitlines() if _number(words := line.split())}
    return HumanUids(said.get("UID_MIN", FIRST_HUMAN_UID), said.get("UID_MAX", LAST_HUMAN_UID))


def accounts(humans: HumanUids) -> Iterator[Account]:
    """Every person's account that this machine lists; a directory's (LDAP) are met when they come: `account_of`."""
    for row in pwd.getpwall():
        if row.pw_uid in humans:
            yield _account(row)


def account_of(uid: int, humans: HumanUids) -> Account | None:
    """The person's account of that uid; None for a system account's and for one without an account."""
    if uid not in humans:
        return None
    try:
        return _account(pwd.getpwuid(uid))
    except (KeyError, OverflowError):
        return None


def _account(row: pwd.struct_passwd) -> Account:
    try:
        SpiffeId.of("remit.local", "user", row.pw_name)
    except IdentityError:
        why = f"the account `{row.pw_name}` (uid {row.pw_uid}) has a name that can stand in no SPIFFE ID"
        return Account(row.pw_name, row.pw_uid, why)
    return Account(row.pw_name, row.pw_uid)


def _number(words: list[str]) -> bool:
    return len(words) > 1 and words[1].isascii() and words[1].isdecimal()
