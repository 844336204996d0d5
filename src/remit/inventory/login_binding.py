"""Whose login it is: the first binds a person to an account at the provider, and later ones must be that account."""

import dataclasses
from collections.abc import Iterable

from remit.errors import IdentityError
from remit.identity.oidc_login import Login
from remit.inventory.workload import Human


def bind(human: Human, login: Login, humans: Iterable[Human]) -> Human:
    """`human`, bound to the account that `login` proves; raises IdentityError when one of the two is another's.

    A change of provider is no way around it: the same subject there is another account.
    """
    account = (login.issuer, login.subject)
    if any(other.login == account for other in humans if other.name != human.name):
        raise IdentityError(
            f"`{login.subject}` at `{login.issuer}` is another person's login here, not `{human.name}`'s",
            hint="log in at the provider as yourself",
        )
    if human.login not in {None, account}:
        raise IdentityError(
            f"`{human.name}` is bound to another login than `{login.subject}` at `{login.issuer}`",
            hint="log in as the account of the first time; docs/login.md says how a binding is taken back",
        )
    return dataclasses.replace(human, login=account)
