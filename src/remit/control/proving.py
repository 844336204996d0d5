"""Asks for proof that a person acts, within the very request that acts: for one process, one act, its arguments."""

import time
from collections.abc import Callable, Collection
from typing import Any, Final, Protocol

from remit.config import ProofSettings
from remit.control.visitor import Visitor
from remit.errors import ConfigError, RemitError
from remit.persons import Act, Kind, Pending, PendingActs, Proof, ProofNeededError, ProofRefusedError, Shown, Standing
from remit.persons.acts import ELSEWHERE
from remit.persons.pending import Asking

_ADD: Final = "`remit passkey add` adds one, in a browser of this machine: see docs/passkeys.md"
_REPEAT: Final = "repeat the command"
_ACTS: Final = "they are in docs/person-proof.md"


class Record(Protocol):
    """Writes down an act of a person, durably."""

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...


class Proving:
    """Which proof an act needs, and whether it is there. `clock` is monotonic seconds.

    `obtainable`: the kinds that somebody here obtains for an act of that uid now; the kernel tells of the weaker.
    """

    def __init__(
        self,
        settings: ProofSettings,
        record: Record,
        *,
        system: bool,
        obtainable: Callable[[int], Collection[Kind]] = lambda _uid: (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._record, self._system, self._clock = settings, record, system, clock
        self._obtainable = obtainable
        self._pending = PendingActs()
        self.proved: Callable[[int], None] = lambda _uid: None
        """Told of each account whose person has just given a proof that a program of theirs could not give."""
        for act in settings.acts:
            if act not in {one.value for one in Act if one.widens and one not in ELSEWHERE}:
                raise ConfigError(f"`proof.acts.{act}`: no act that needs a proof has this name", hint=_ACTS)

    def needed(self, act: Act) -> Kind:
        """The weakest kind that `act` takes here."""
        if not act.widens:
            return Kind.UID
        usual = self._settings.needs or (Kind.PASSWORD if self._system else Kind.TERMINAL)
        return Kind.named(self._settings.acts.get(act.value, usual))

    async def require(self, who: Visitor, act: Act, shown: Shown, *, needed: Kind | None = None) -> Proof:
        """The proof for `act` with exactly the arguments in `shown`, each of which must be there.

        `needed` is the weakest kind, where it is not the act's usual one.
        1. What runs under a governed workload is no person, whatever it offers.
        2. A proof that it offers is spent, on record before anything is done.
        3. What the kernel says of the visitor may do.
        Raises NotAdmittedError, ProofRefusedError, and ProofNeededError where the command can still obtain one.
        """
        needed = needed or self.needed(act)
        who.check_not_governed()  # 1
        asking = Asking(who.process.uid, who.process.pid, who.process.start, act, shown)
        if who.offered:
            return await self._spent(who, asking, needed)  # 2
        known = Kind.named(who.proof)
        if known.reaches(needed):
            return Proof(known)  # 3
        pending = self._pending.add(asking, needed, self._clock())
        raise self._missing(pending)

    def pending(self, pending_id: str) -> Pending:
        """The act that waits under that id; raises NotFoundError."""
        return self._pending.of(pending_id, self._clock())

    def standing(self, who: Visitor, pending_id: str) -> Standing:
        """How far it is, told to the very process that asked; raises NotFoundError."""
        asked = (who.process.uid, who.process.pid, who.process.start)
        return self._pending.standing(pending_id, asked, self._clock())

    def grant(self, pending_id: str, kind: Kind, evidence: str, *, session: bool = False) -> None:
        """Whoever obtained a proof for what waits says so; `evidence` is the SHA-256 of what proved it."""
        self._pending.grant(pending_id, Proof(kind, evidence, session), self._clock())

    async def refuse(self, pending_id: str, why: str) -> None:
        """A proof failed for good: what waits is forgotten, and it is on record."""
        pending = self.pending(pending_id)
        self._pending.drop(pending_id)
        await self._refused(pending.asking, None, why)

    async def _spent(self, who: Visitor, asking: Asking, needed: Kind) -> Proof:
        person = who.human.person
        try:
            proof = self._pending.spend(who.offered, asking, self._clock())
            if not proof.kind.reaches(needed):  # more is needed now than when it was asked for
                raise ProofRefusedError(f"`{asking.act}` needs a {needed}, not a {proof.kind}", hint=_REPEAT)
        except RemitError as error:
            await self._refused(asking, person, str(error))
            raise
        if proof.kind.reaches(Kind.PASSWORD) and not proof.session:
            self.proved(asking.uid)
        facts: dict[str, Any] = {"kind": proof.kind.value, "evidence": proof.evidence}
        facts |= {"arguments": asking.shown.digest, **({"session": True} if proof.session else {})}
        await self._record("person.proved", asking.act.value, person, {**facts, "pid": asking.pid})
        return proof

    async def _refused(self, asking: Asking, person: str | None, why: str) -> None:
        facts = {"why": why, "pid": asking.pid, "uid": asking.uid, "arguments": asking.shown.digest}
        await self._record("person.refused", asking.act.value, person, facts)

    def _missing(self, pending: Pending) -> ProofNeededError:
        here = {Kind.TERMINAL, *self._obtainable(pending.asking.uid)}
        kinds = tuple(kind for kind in Kind.at_least(pending.needed) if kind in here)
        if kinds:
            needs, hint = " or ".join(kinds), "a person must do this: see docs/person-proof.md"
        else:
            needs = f"{pending.needed}, which nobody takes here yet"
            hint = "whoever may write the configuration can name a weaker kind: see docs/person-proof.md"
        if not kinds and pending.needed is Kind.PASSKEY:
            needs, hint = "passkey, and you have none that can be used here", _ADD
        if Kind.TERMINAL in kinds:
            hint = "run it in the foreground of a terminal; docs/person-proof.md says what to do in scripts"
        message = f"`{pending.act}` needs proof of a person ({needs})"
        return ProofNeededError(message, hint=hint, pending=pending, kinds=kinds)
