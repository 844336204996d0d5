"""Which roles one person may not have together, and who would have them; pure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import product
from typing import Final

from remit.config.settings import RolesSettings

_AUDITS: Final = "who changes things does not audit them"
FORBIDDEN: Final = (
    ("administrator", "auditor", _AUDITS),
    ("deployer", "auditor", _AUDITS),
    ("approver", "auditor", "who agrees to things does not audit them"),
    ("administrator", "deployer", "who governs the machine does not say which models and tools are used on it"),
    ("deployer", "approver", "who puts models and tools to use does not agree to what is done with them"),
)

Accounts = Callable[[str], Collection[int]]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two roles of one person: by one name, or by two that have `uids` in common."""

    roles: tuple[str, str]
    names: tuple[str, str]
    uids: frozenset[int]
    why: str

    def __str__(self) -> str:
        (one, other), (name, also) = self.roles, self.names
        if name == also:
            return f"`{name}` is both `roles.{one}` and `roles.{other}`"
        shared = ", ".join(map(str, sorted(self.uids)))
        return f"`{name}` of `roles.{one}` and `{also}` of `roles.{other}` are one person (uid {shared})"


def conflicts(roles: RolesSettings, accounts: Accounts) -> tuple[Conflict, ...]:
    """Every forbidden pair that somebody has. `accounts` gives the uids of who goes by a name, as far as known."""
    found = []
    for one, other, why in FORBIDDEN:
        for name, also in product(getattr(roles, one), getattr(roles, other)):
            shared = frozenset(accounts(name)) & frozenset(accounts(also))
            if name == also or shared:
                found.append(Conflict((one, other), (name, also), shared, why))
    return tuple(found)
