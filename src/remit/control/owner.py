"""Whose instance this is: the human who ran the command, or the one named with `--owner`."""

import os
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from remit.errors import IdentityError, UsageError
from remit.identity import SpiffeId
from remit.identity.person import person_of

FIRST_HUMAN_UID: Final = 1000  # login.defs(5): UID_MIN, UID_MAX
LAST_HUMAN_UID: Final = 60000


@dataclass(frozen=True, slots=True)
class Owner:
    """The accountable person. `uids` are the accounts that act for them."""

    name: str
    uids: tuple[int, ...]


def others(owner: Owner, named: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The other people with an account here, so that their calls are attributed to them too.

    `named` are those of the settings: a directory's accounts (LDAP) are not listed here, and one may have several.
    Raises UsageError for a name that can't be a person's.
    """
    taken = {*owner.uids, *(uid for uids in named.values() for uid in uids)}
    for account in pwd.getpwall():
        if FIRST_HUMAN_UID <= account.pw_uid <= LAST_HUMAN_UID and account.pw_uid not in taken:
            yield account.pw_name, (account.pw_uid,)
    for name, uids in named.items():
        rest = tuple(uid for uid in uids if uid not in owner.uids)
        if rest and name != owner.name:
            yield _checked(name), rest


def find_owner(named: str | None, login_uid: int | None, environ: Mapping[str, str]) -> Owner:
    """The owner; raises IdentityError when nobody is logged in and nobody is named.

    A named person with an account here is that account; one without is answered for by the uid that runs this.
    """
    if named is None:
        person = person_of(login_uid, os.geteuid(), environ)
        return Owner(_checked(person.name), (person.uid,))
    try:
        account = pwd.getpwnam(named)
    except KeyError:
        return Owner(_checked(named), (os.getuid(),))
    return Owner(_checked(named), (account.pw_uid,))


def _checked(name: str) -> str:
    """A name that can stand in a SPIFFE ID."""
    try:
        SpiffeId.of("remit.local", "user", name)
    except IdentityError as error:
        raise UsageError(
            f"`{name}` can't be an owner's name here", hint="use letters, digits, `.`, `-` and `_`"
        ) from error
    return name
