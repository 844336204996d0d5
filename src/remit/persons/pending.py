"""Acts that wait for their proof: bounded, short-lived, each for one process, one act and exactly those arguments."""

import enum
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from remit.errors import NotFoundError, RemitError
from remit.persons.acts import Act
from remit.persons.kinds import Kind
from remit.persons.shown import Shown

LIFE: Final = 120.0  # seconds, from the first request to the one that carries the proof
MAX_OF_ONE_UID: Final = 16  # the oldest gives way
MAX_OF_ALL: Final = 1_024
ID_BYTES: Final = 24
_REPEAT: Final = "repeat the command"


class Standing(enum.StrEnum):
    """How far an act's proof is."""

    WAITING = "waiting"
    GRANTED = "granted"
    REFUSED = "refused"


class ProofRefusedError(RemitError):
    """What was offered is no proof for this: another process's, another act's, used up, too old or too weak."""

    exit_code = 3


class ProofNeededError(RemitError):
    """The act needs a proof of a person. Answered by 401 with `described`; the same request is then repeated."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str, pending: "Pending", kinds: tuple[Kind, ...]) -> None:
        super().__init__(message, hint=hint)
        self.pending, self.kinds = pending, kinds

    def described(self) -> dict[str, Any]:
        """What the command needs to obtain one, weakest kind first."""
        return {"id": self.pending.id, "act": self.pending.act.value, "kinds": [kind.value for kind in self.kinds]}


@dataclass(frozen=True, slots=True)
class Proof:
    """How the person behind one act was known. `evidence` is a SHA-256 of what proved it, or empty.

    `session`: it rests on a proof of that kind a while ago, in the same session.
    """

    kind: Kind
    evidence: str = ""
    session: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for what: all that a proof is bound to. `start` is clock ticks since boot."""

    uid: int
    pid: int
    start: int
    act: Act
    shown: Shown


@dataclass(slots=True)
class Pending:
    """One act that waits. `granted` is its proof, once somebody obtained it."""

    id: str
    asking: Asking
    needed: Kind
    since: float
    granted: Proof | None = None

    @property
    def act(self) -> Act:
        return self.asking.act


@dataclass(slots=True)
class PendingActs:
    """Those that wait now. Times are monotonic seconds. Lost when control ends: the command is then repeated."""

    _live: dict[str, Pending] = field(default_factory=dict)  # oldest first
    _refused: dict[str, Pending] = field(default_factory=dict)  # so that who asked is told, and not only left waiting

    def add(self, asking: Asking, needed: Kind, now: float) -> Pending:
        """A place for one more; the uid's oldest gives way where it has too many."""
        self._forget(now)
        own = [one.id for one in self._live.values() if one.asking.uid == asking.uid]
        if len(own) >= MAX_OF_ONE_UID:
            del self._live[own[0]]
        if len(self._live) >= MAX_OF_ALL:
            raise ProofRefusedError("too many acts wait for a proof", hint="try again in two minutes")
        pending = Pending(secrets.token_urlsafe(ID_BYTES), asking, needed, now)
        self._live[pending.id] = pending
        return pending

    def of(self, pending_id: str, now: float) -> Pending:
        """The one with that id; raises NotFoundError."""
        self._forget(now)
        if pending_id not in self._live:
            raise NotFoundError("no act waits for this proof: it took too long, or was done already", hint=_REPEAT)
        return self._live[pending_id]

    def grant(self, pending_id: str, proof: Proof, now: float) -> None:
        """Give the act its proof; raises NotFoundError, and ProofRefusedError for one too weak or given twice."""
        pending = self.of(pending_id, now)
        if pending.granted is not None:
            raise ProofRefusedError("this act has its proof already", hint=_REPEAT)
        if not proof.kind.reaches(pending.needed):
            raise ProofRefusedError(f"`{pending.act}` needs a {pending.needed}, not a {proof.kind}", hint=_REPEAT)
        pending.granted = proof

    def spend(self, pending_id: str, asking: Asking, now: float) -> Proof:
        """Take the proof for exactly what it was obtained for; once. Who may not have it can't use it up."""
        pending = self.of(pending_id, now)
        if pending.asking != asking:
            raise ProofRefusedError(
                f"this proof is for another process, act or arguments than this `{asking.act}`",
                hint=_REPEAT,
            )
        del self._live[pending_id]
        if pending.granted is None:
            raise ProofRefusedError(f"nobody has proved who asks for `{asking.act}`", hint=_REPEAT)
        return pending.granted

    def drop(self, pending_id: str) -> None:
        """Forget one that was refused."""
        pending = self._live.pop(pending_id, None)
        if pending is not None:
            self._refused[pending_id] = pending
        while len(self._refused) > MAX_OF_ALL:
            del self._refused[next(iter(self._refused))]

    def standing(self, pending_id: str, process: tuple[int, int, int], now: float) -> Standing:
        """How far it is, for the very process (uid, pid, start) that asked; raises NotFoundError for others."""
        self._forget(now)
        pending = self._live.get(pending_id) or self._refused.get(pending_id)
        if pending is None or (pending.asking.uid, pending.asking.pid, pending.asking.start) != process:
            raise NotFoundError("no act of this process waits for this proof: it took too long", hint=_REPEAT)
        if pending_id in self._refused:
            return Standing.REFUSED
        return Standing.WAITING if pending.granted is None else Standing.GRANTED

    def _forget(self, now: float) -> None:
        for known in (self._live, self._refused):
            for pending in list(known.values()):
                if not pending.since <= now < pending.since + LIFE:
                    del known[pending.id]
