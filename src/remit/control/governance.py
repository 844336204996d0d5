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
        return human, Reach(human.name, self.roles.of(human.name, uid), human.uids)

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
    """As this instance is started; raises IdentityError when it is one person's and nobody tells whose."""
    if not places.shared:
        owner = find_owner(owner_named, login_uid, environ)
        return Governance(owner, Roles(frozenset({owner.name})), settings.people, os.getuid())
    named = settings.roles
    roles = Roles(frozenset(named.administrator), frozenset(named.auditor))
    accounts_of = [_account(name, settings.people) for name in named.administrator]
    first = next((one for one in accounts_of if one is not None), NOBODY)
    return Governance(first, roles, settings.people, os.getuid(), human_uids())


def _account(name: str, named: Mapping[str, tuple[int, ...]]) -> Owner | None:
    if name in named:
        return Owner(name, named[name])
    try:
        return Owner(name, (pwd.getpwnam(name).pw_uid,))
    except KeyError:
        return None
