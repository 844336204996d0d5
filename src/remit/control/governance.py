"""Who governs this instance: one owner who runs it for themselves, or, for a whole machine, all who log in there."""

import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from remit.config import Places, Settings
from remit.control.owner import Owner, find_owner, others
from remit.control.people import HumanUids, account_of, accounts, human_uids
from remit.control.realm import Realm
from remit.control.roles import ROOT, NotAdmittedError, Reach, Role, Roles
from remit.control.separation import Separation
from remit.errors import ConfigError
from remit.inventory import Human

NOBODY = Owner("", ())


@dataclass(frozen=True, slots=True)
class Governance:
    """`owner` answers for what is nobody else's: who runs Remit, or the machine's first administrator, or NOBODY.

    `named` are the people of the settings with their accounts. `humans` are the uids of people; None: the instance is
    its owner's alone, and its uid is `uid`.
    """

    owner: Owner
    roles: Roles
    named: Mapping[str, tuple[int, ...]]
    uid: int
    humans: HumanUids | None = None
    separation: Separation | None = None
    """Which roles one person may not have together; None where the instance is its owner's alone."""

    async def meet_all(self, realm: Realm, note: Callable[[str], None]) -> None:
        """The people that this machine lists, so that their calls are attributed to them; who can't be is said."""
        if self.humans is None:
            for name, uids in others(self.owner, self.named):
                await realm.meet(name, uids, only=True)
            await realm.meet(self.owner.name, self.owner.uids)
            return
        taken = {uid for uids in self.named.values() for uid in uids}
        for account in accounts(self.humans):
            if account.refused:
                note(f"nobody acts as uid {account.uid} here: {account.refused}")
            elif account.uid not in taken:
                await realm.meet(account.name, (account.uid,), only=account.name not in self.named)
        for name, uids in self.named.items():
            await realm.meet(name, uids)

    async def visitor(self, realm: Realm, uid: int) -> tuple[Human, Reach]:
        """Whoever speaks to control from that uid, and what they see and govern; raises NotAdmittedError."""
        if self.humans is None:
            if uid not in {self.uid, ROOT}:
                raise NotAdmittedError(
                    f"uid {uid} may not govern this instance", hint="its owner can: see `remit status`"
                )
            human = realm.human_of(uid) or realm.humans.get(self.owner.name)
            if human is None:
                raise NotAdmittedError(f"uid {uid} acts for no person known here")
            return human, Reach(human.name, Role.ADMINISTRATOR, human.uids)
        human = await self._met(realm, uid)
        if human is None:
            raise NotAdmittedError(
                f"uid {uid} acts for no person known here", hint="accounts that nobody logs in to govern nothing"
            )
        if uid != ROOT and self.separation is not None and self.separation.suspended(human.uids, human.name):
            return human, Reach(human.name, Role.PERSON, human.uids, False if self.roles.deployers else None, False)
        return human, self.roles.reach(human.name, uid, human.uids)

    async def whose(self, realm: Realm, uid: int | None) -> str:
        """Who answers for a server that runs as `uid`; empty where nobody can."""
        if self.humans is None or uid is None:
            return self.owner.name
        human = await self._met(realm, uid)
        return human.name if human is not None and uid != ROOT else self.owner.name

    async def _met(self, realm: Realm, uid: int) -> Human | None:
        human = realm.human_of(uid)
        if human is not None or self.humans is None:
            return human
        account = account_of(uid, self.humans)
        return None if account is None or account.refused else await realm.meet(account.name, (uid,))


def governance_of(
    places: Places, settings: Settings, owner_named: str | None, login_uid: int | None, environ: Mapping[str, str]
) -> Governance:
    """As this instance is started; raises IdentityError when it is one person's and nobody tells whose.

    Raises ConfigError when somebody would have roles that don't go together.
    """
    if not places.shared:
        owner = find_owner(owner_named, login_uid, environ)
        return Governance(owner, Roles(frozenset({owner.name})), settings.people, os.getuid())
    named = settings.roles
    roles = Roles(*(frozenset(one) for one in (named.administrator, named.auditor, named.deployer, named.approver)))
    separation = Separation(named, settings.people)
    for conflict in separation.conflicts():
        raise ConfigError(str(conflict), hint=conflict.why)
    accounts_of = [_account(name, settings.people) for name in named.administrator]
    first = next((one for one in accounts_of if one is not None), NOBODY)
    return Governance(first, roles, settings.people, os.getuid(), human_uids(), separation)


def _account(name: str, named: Mapping[str, tuple[int, ...]]) -> Owner | None:
    if name in named:
        return Owner(name, named[name])
    try:
        return Owner(name, (pwd.getpwnam(name).pw_uid,))
    except KeyError:
        return None
