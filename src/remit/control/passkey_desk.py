"""What the local page may do: prove one waiting act with a passkey, refuse it, add a passkey by a one-time link."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from remit.control.browsers import Browsers
from remit.control.clients import Client
from remit.control.passkey_links import Link, Links, known_as
from remit.errors import NotFoundError, UsageError
from remit.inventory import Human
from remit.persons import Act, Kind, Pending
from remit.persons.passkey_book import Passkeys
from remit.persons.passkeys import (
    CHALLENGE_BYTES,
    Party,
    Passkey,
    PasskeyError,
    asserted,
    assertion_options,
    encoded,
    registered,
    registration_options,
)

MAX_CHALLENGES: Final = 64  # of one account; its oldest gives way
MAX_LABEL: Final = 64
MAX_PASSKEYS: Final = 20  # of one person
ALWAYS_TOUCHED: Final = frozenset({Act.PASSKEY_ADD, Act.PASSKEY_REMOVE})  # what would make a session last for ever

_CLICK: Final = "click "

Record = Callable[[str, str, str | None, dict[str, Any]], Awaitable[None]]


class Waiting(Protocol):
    """The acts that wait for a proof (`control/proving.py`)."""

    def pending(self, pending_id: str) -> Pending: ...

    def grant(self, pending_id: str, kind: Kind, evidence: str, *, session: bool = False) -> None: ...

    async def refuse(self, pending_id: str, why: str) -> None: ...


class PasskeyDesk:
    """Holds the challenges, each taken once. `clock` is Unix seconds, `steady` never goes back."""

    def __init__(
        self,
        kept: Passkeys,
        waiting: Waiting,
        record: Record,
        party: Party,
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self._kept, self._waiting, self._record, self.party = kept, waiting, record, party
        self._clock, self._steady = clock, steady
        self._browsers = Browsers(steady)
        self.not_served = "its port is taken"
        """Why the page can't be opened, until somebody serves it."""
        self._challenges: dict[str, tuple[int, bytes]] = {}  # with whose it is, oldest first
        self._links = Links(steady)

    def of(self, human: str) -> list[Passkey]:
        """One person's passkeys, oldest first."""
        return [one for one in self._kept.passkeys() if one.human == human]

    def waiting(self, pending_id: str, client: Client) -> Pending:
        """What is shown to the very account that asks; for anybody else there is no such page."""
        pending = self._waiting.pending(pending_id)
        _same_account(pending.asking.uid, client)
        if pending.granted is not None:
            raise NotFoundError("this act was allowed already")
        return pending

    def ask(self, pending_id: str, client: Client) -> dict[str, Any]:
        """A fresh challenge for one act: the one before it is of no use any more."""
        self.waiting(pending_id, client)
        known = self.of(client.human.name)
        if not known:
            raise PasskeyError("no passkey is known of this person", hint="`remit passkey add` adds one")
        return assertion_options(self.party, self._challenge(pending_id, client), known)

    async def allow(self, pending_id: str, client: Client, answer: bytes) -> str:
        """Prove the act that waits; what that browser is known by for a while (`browsers.py`), or empty.

        1. asked for by this account, and its challenge is spent whatever comes of it
        2. signed by a key of this person's
        3. its count is kept before anything is granted
        """
        pending = self.waiting(pending_id, client)  # 1
        challenge = self._spend(pending_id)
        known = {one.id: one for one in self.of(client.human.name)}
        try:
            used = asserted(self.party, challenge, answer, known, self._clock())  # 2
        except PasskeyError as error:
            facts = {"why": str(error), "uid": client.uid, "kind": Kind.PASSKEY.value}
            await self._record("passkey.refused", pending.act.value, client.human.person, facts)
            raise
        self._kept.save_passkey(used)  # 3
        evidence = hashlib.sha256(answer).hexdigest()
        self._waiting.grant(pending_id, Kind.PASSKEY, evidence)
        return self._browsers.begin(client, evidence)

    def offer_click(self, pending_id: str, client: Client, token: str) -> str:
        """The number of this very page, by which one click in it proves the act; empty: it takes the passkey."""
        pending = self.waiting(pending_id, client)
        if pending.act in ALWAYS_TOUCHED or self._browsers.held(client, token) is None:
            return ""
        return encoded(self._challenge(_CLICK + pending_id, client))

    async def click(self, pending_id: str, client: Client, token: str, number: str) -> None:
        """Prove the act that waits, in a browser where the passkey was used a while ago.

        1. the click comes from the page that showed this act, the last one that did, and counts once
        2. what holds in that browser is looked at now: it may have ended since the page was shown
        """
        pending = self.waiting(pending_id, client)
        drawn = self._spend(_CLICK + pending_id)  # 1
        held = self._browsers.held(client, token)  # 2
        right = secrets.compare_digest(encoded(drawn).encode(), number.encode(errors="surrogatepass"))
        if not right or held is None or pending.act in ALWAYS_TOUCHED:
            why = "this browser can't prove the act by a click"
            facts = {"why": why, "uid": client.uid, "kind": Kind.PASSKEY.value}
            await self._record("passkey.refused", pending.act.value, client.human.person, facts)
            raise PasskeyError(why, hint="load the page again, and use the passkey")
        self._waiting.grant(pending_id, Kind.PASSKEY, held.evidence, session=True)

    async def refuse(self, pending_id: str, client: Client) -> None:
        """The person says no: then something asks without them, and no click of theirs proves anything any more."""
        self.waiting(pending_id, client)
        self._browsers.end_all(client.uid)
        self._challenges.pop(pending_id, None)
        await self._waiting.refuse(pending_id, "refused by the person, in the local page")

    def check_label(self, human: Human, label: str) -> None:
        """Raise UsageError unless one more passkey of theirs may be called so."""
        if not label or len(label) > MAX_LABEL or not label.isprintable():
            raise UsageError(f"`{label[:MAX_LABEL]}` is no label", hint=f"1 to {MAX_LABEL} printable characters")
        if label in {one.label for one in self.of(human.name)}:
            raise UsageError(f"a passkey of yours is called `{label}` already", hint="give it another label")
        if len(self.of(human.name)) >= MAX_PASSKEYS:
            raise UsageError(f"{human.name} has {MAX_PASSKEYS} passkeys", hint="remove one first")

    def link(self, human: Human, uid: int, label: str, proof: Kind) -> str:
        """The path of a page where one passkey can be added, once. Who asked has been proved before this."""
        self.check_label(human, label)
        return self._links.make(human, uid, label, proof)

    def links_of(self, uid: int) -> list[str]:
        """An account's links that still serve, by what they are called."""
        return self._links.of_account(uid)

    def linked(self, token: str, client: Client) -> Link:
        """What a link leads to; raises NotFoundError for one that was used, is too old or never was."""
        link = self._links.of(token)
        _same_account(link.uid, client)
        return link

    def ask_new(self, token: str, client: Client) -> dict[str, Any]:
        """What the browser is to make."""
        link = self.linked(token, client)
        handle = hashlib.sha256(link.human.person.encode()).digest()
        challenge = self._challenge(known_as(token), client)
        return registration_options(self.party, handle, link.human.name, challenge, self.of(link.human.name))

    async def add(self, token: str, client: Client, answer: bytes) -> Passkey:
        """Keep a new passkey, on record first. The link is spent whatever comes of it."""
        link = self.linked(token, client)
        self._links.spend(token)
        challenge = self._spend(known_as(token))
        self.check_label(link.human, link.label)
        new = registered(self.party, challenge, answer, link.human.name, link.label, self._clock())
        made = new.passkey
        if any(one.id == made.id for one in self._kept.passkeys()):
            raise PasskeyError("this passkey is known already")
        facts = {"label": made.label, "uid": link.uid, "proof": link.proof.value}
        facts |= {"model": new.model, "synced": new.synced}
        await self._record("passkey.added", made.name, link.human.person, facts)
        self._kept.save_passkey(made)
        return made

    def named(self, human: Human, name: str) -> Passkey:
        """One of a person's by its label or id; raises NotFoundError."""
        found = [one for one in self.of(human.name) if name in {one.label, one.name}]
        if len(found) != 1:
            what = "several passkeys are" if found else "no passkey is"
            raise NotFoundError(f"{what} called `{name}`", hint="`remit passkey list` shows their ids")
        return found[0]

    async def remove(self, human: Human, name: str) -> Passkey:
        """Forget one of a person's passkeys, and what it began. Who asked has been proved before this."""
        meant = self.named(human, name)
        for uid in human.uids:
            self._browsers.end_all(uid)
        await self._record("passkey.removed", meant.name, human.person, {"label": meant.label})
        self._kept.drop_passkey(meant.id)
        return meant

    def _challenge(self, key: str, client: Client) -> bytes:
        self._challenges.pop(key, None)
        own = [one for one, (uid, _) in self._challenges.items() if uid == client.uid]
        for one in own[: max(0, len(own) - MAX_CHALLENGES + 1)]:
            del self._challenges[one]
        drawn = secrets.token_bytes(CHALLENGE_BYTES)
        self._challenges[key] = (client.uid, drawn)
        return drawn

    def _spend(self, key: str) -> bytes:
        found = self._challenges.pop(key, None)
        if found is None:
            raise PasskeyError("this page was answered already", hint="load it again")
        return found[1]


def _same_account(uid: int, client: Client) -> None:
    """Shown to a person's browser alone: not to another account's, nor to what runs under a governed workload."""
    if client.uid != uid or not client.a_person:
        raise NotFoundError("nothing waits here for this account")
