"""How people prove here that they act: what can be obtained for whom, how far a proof is, and their passkeys."""

import time
from collections.abc import Callable, Collection
from typing import Any

from remit.config import Places, Settings
from remit.control.passkey_desk import PasskeyDesk
from remit.control.passkey_links import known_as
from remit.control.proving import Proving, Record
from remit.control.realm import Realm
from remit.control.serving_tokens import token_port
from remit.control.visitor import Visitor
from remit.errors import StateError
from remit.persons import Act, Kind, Shown
from remit.persons.passkeys import Party, Passkey


class Proofs:
    """One instance's. Without its page no passkey can be used."""

    def __init__(self, places: Places, settings: Settings, realm: Realm, record: Record) -> None:
        self._realm, self._system = realm, places.shared
        self.passwords: Callable[[], bool] = lambda: False
        """Whether somebody here asks for one and checks it."""
        self.proving = Proving(settings.proof, record, system=self._system, obtainable=self.obtainable)
        party = Party(f"http://localhost:{token_port(settings)}")
        self.passkeys = PasskeyDesk(realm.state, self.proving, record, party, time.time, time.monotonic)

    def obtainable(self, uid: int) -> Collection[Kind]:
        """What somebody here can obtain for an act of that uid now."""
        human = self._realm.human_of(uid)
        known = human is not None and bool(self.passkeys.of(human.name)) and not self.passkeys.not_served
        here = {Kind.PASSWORD: self.passwords(), Kind.PASSKEY: known}
        return [kind for kind, can in here.items() if can]

    def standing(self, who: Visitor, proof_id: str) -> dict[str, Any]:
        """How far the proof is that this very process waits for, and the page where a passkey gives it."""
        standing = self.proving.standing(who, proof_id)
        page = f"{self.passkeys.party.origin}/proof/{proof_id}" if not self.passkeys.not_served else ""
        return {"standing": standing.value, "page": page}

    def listed(self, who: Visitor) -> dict[str, Any]:
        """The visitor's own passkeys, and which of their links still wait for one."""
        own = self.passkeys.of(who.human.name)
        return {"passkeys": [_public(one) for one in own], "links": self.passkeys.links_of(who.process.uid)}

    async def add(self, who: Visitor, label: str) -> dict[str, Any]:
        """A link to the page where one passkey can be added, once."""
        self._check_page()
        self.passkeys.check_label(who.human, label)
        shown = Shown.of(label=label, person=who.human.name)
        proof = await self.proving.require(who, Act.PASSKEY_ADD, shown, needed=self._to_add(who))
        path = self.passkeys.link(who.human, who.process.uid, label, proof.kind)
        return {"page": self.passkeys.party.origin + path, "link": known_as(path), "proof": proof.kind}

    async def remove(self, who: Visitor, name: str) -> dict[str, Any]:
        """Forget one of the visitor's passkeys."""
        self.passkeys.named(who.human, name)
        proof = await self.proving.require(who, Act.PASSKEY_REMOVE, Shown.of(passkey=name, person=who.human.name))
        return {"removed": _public(await self.passkeys.remove(who.human, name)), "proof": proof.kind}

    def _to_add(self, who: Visitor) -> Kind:
        """Who has no passkey can't use one: then the best of the others, and no more than what is usual here."""
        usual, other = self.proving.needed(Act.PASSKEY_ADD), Kind.PASSWORD if self._system else Kind.TERMINAL
        return other if usual.reaches(other) and not self.passkeys.of(who.human.name) else usual

    def _check_page(self) -> None:
        if self.passkeys.not_served:
            why = f"the page of passkeys is not served: {self.passkeys.not_served}"
            raise StateError(why, hint="set `oidc.port` to a free port, and start Remit again")


def _public(passkey: Passkey) -> dict[str, Any]:
    return {
        "id": passkey.name,
        "label": passkey.label,
        "created": passkey.created,
        "last_used": passkey.last_used,
        "uses": passkey.sign_count,
    }
