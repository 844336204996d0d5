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

    def others(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The other people with an account here, so that their calls are attributed to them too."""
        for account in pwd.getpwall():
            if FIRST_HUMAN_UID <= account.pw_uid <= LAST_HUMAN_UID and account.pw_uid not in self.uids:
                yield account.pw_name, (account.pw_uid,)


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
