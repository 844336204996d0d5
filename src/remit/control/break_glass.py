"""Break-glass while control works: opened for one person, told all the time, closed by itself, listed for review."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final, Protocol

from remit.control.endings import since_boot
from remit.control.realm import Realm
from remit.control.roles import Reach
from remit.control.visitor import Visitor
from remit.errors import AuditError
from remit.persons import Act, Kind, Proof, Shown, break_glass, recovery_code
from remit.persons.break_glass import BreakGlassError, Moment, Opening
from remit.persons.openings_book import OpeningsBook
from remit.persons.recovery_code import WrongCodeError
from remit.policy import Snapshot
from remit.policy.emergency import Emergency
from remit.secret import Secret

DIRECTORY: Final = "break-glass"
BY_CODE: Final = "recovery-code"
LOOK_SECONDS: Final = 0.5
TELL_SECONDS: Final = 60.0
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
SEAL_ANEW: Final = "the recovery code stays good: seal a new one when this is over, if anybody may have seen it"


class Deliveries(Protocol):
    """Puts a Snapshot in force at every worker."""

    async def __call__(self, snapshot: Snapshot) -> bool: ...


class Proofs(Protocol):
    """Proof of a person for an act with exactly these arguments; raises what the visitor is told instead."""

    async def require(self, who: Visitor, act: Act, shown: Shown) -> Proof: ...


def this_moment() -> Moment:
    """Now, by both clocks."""
    return Moment(time.time(), since_boot(), boot())


def boot() -> str:
    """Which start of the machine this is."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class BreakGlass:
    """One instance's. `say` takes the events that `remit up` shows; `moment` tells the time by both clocks."""

    def __init__(
        self,
        book: OpeningsBook,
        realm: Realm,
        deliver: Deliveries,
        say: Callable[[dict[str, Any]], None],
        moment: Callable[[], Moment] = this_moment,
    ) -> None:
        self.book, self._realm, self._deliver, self._say, self._moment = book, realm, deliver, say, moment
        self.proofs: Proofs
        """What else than the code proves a person; set before the API is served."""
        self._one_change = asyncio.Lock()
        self._open: Opening | None = None
        self._told = 0.0

    @property
    def is_open(self) -> bool:
        return self._open is not None and self._open.left(self._moment()) > 0

    def take_up(self, closed: Collection[str]) -> None:
        """What was open when control ended is open until its limit; not what the log says was closed."""
        at = self._moment()
        for opening in self.book.openings().values():
            if opening.left(at) > 0 and opening.id not in closed:
                self._put(opening)

    def seal_first(self, owner: str, uids: tuple[int, ...]) -> None:
        """Seal a recovery code unless one is sealed; it is told once, in the owner's terminal. Raises StateError."""
        if self.book.sealed() is None:
            self._say({"event": "sealed", "code": self._seal(owner, uids).reveal()})

    async def open(self, who: Visitor, reason: str, seconds: float, code: str) -> dict[str, Any]:
        """Open it for who asks, proved by the recovery code, or as control has a person proved without one.

        Raises UsageError, NotAdmittedError, BreakGlassError, WrongCodeError, StateError.
        """
        who.check_not_governed()
        said = break_glass.check_asked(reason, seconds)
        async with self._one_change:
            break_glass.check_none_open(self.book.openings().values(), self._moment())
            if code:
                proof = await self._by_code(who, Secret(code))
            else:
                shown = Shown.of(reason=said, seconds=seconds)
                proof = (await self.proofs.require(who, Act.BREAK_GLASS_OPEN, shown)).kind.value
                if proof == Kind.UID:
                    raise BreakGlassError("a uid alone opens no break-glass", hint="give the recovery code")
            opening = self.fresh(who.human.name, who.process.uid, proof, said, seconds, "control")
            self.book.opened(opening)
            self._put(opening)
        settled = await self._deliver(self._realm.snapshot())
        await self._catch_up()
        return {"opening": opening.to_dict(self._moment()), "note": SEAL_ANEW, "pending": not settled}

    async def close(self, who: Visitor) -> dict[str, Any]:
        """Close it before its time; it only takes reach away."""
        who.check_not_governed()
        opening = self._open
        if opening is None:
            raise BreakGlassError("break-glass is not open")
        await self._close(opening, f"by {who.human.name}")
        return {"closed": opening.id}

    async def review(self, who: Visitor, opening_id: str, note: str) -> dict[str, Any]:
        """Somebody else looked at it; or the same person, where there is no other."""
        who.check_not_governed()
        await self.proofs.require(who, Act.BREAK_GLASS_REVIEW, Shown.of(opening=opening_id, note=note))
        async with self._one_change:
            opening = break_glass.named(self.book.openings(), opening_id)
            alone = sum(bool(human.uids) for human in self._realm.humans.values()) <= 1
            review = break_glass.reviewed(opening, who.human.name, note, self._moment(), alone=alone)
            self.book.reviewed(opening, review)
        await self._catch_up()
        return self.shown(opening_id)

    async def seal(self, who: Visitor) -> dict[str, Any]:
        """A new recovery code in the place of the one before; it is in the answer and nowhere else."""
        await self.proofs.require(who, Act.BREAK_GLASS_SEAL, Shown.of(owner=who.human.name))
        code = self._seal(who.human.name, who.human.uids)
        await self._realm.acts("break-glass.sealed", DIRECTORY, who.human.person, {})
        return {"code": code.reveal()}

    def listed(self, reach: Reach) -> dict[str, Any]:
        """The openings that one of that reach may see, and what shows that the list is not whole."""
        at = self._moment()
        openings = [one.to_dict(at) for one in self.book.openings().values() if reach.sees(one.person)]
        return {"openings": openings, "flaws": self.book.flaws(), "wrong_codes": self.book.wrong_codes()[0]}

    def shown(self, opening_id: str) -> dict[str, Any]:
        return break_glass.named(self.book.openings(), opening_id).to_dict(self._moment())

    def standing(self) -> dict[str, Any]:
        """For `status`: what is open, what is to be reviewed, whether a code is sealed."""
        at = self._moment()
        openings = list(self.book.openings().values())
        due = [one.to_dict(at) for one in openings if one.standing(at).startswith("review")]
        open_now = next(
            (one.to_dict(at) for one in openings if self._open is not None and one.id == self._open.id), None
        )
        return {"open": open_now, "due": due, "flaws": self.book.flaws()}

    async def mind(self) -> None:
        """For ever: close it at its limit, say each minute that it is open, write down what the log did not take."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            opening = self._open
            if opening is not None and opening.left(self._moment()) <= 0:
                await self._close(opening, "its time was over")
            elif opening is not None and time.monotonic() - self._told >= TELL_SECONDS:
                self._tell(opening)
            await self._catch_up()

    def fresh(self, person: str, uid: int, proof: str, reason: str, seconds: float, through: str) -> Opening:
        """An opening from now on; nothing is written yet."""
        at = self._moment()
        until = at.now + seconds
        return Opening(
            id="bg-" + secrets.token_hex(6),
            person=person,
            uid=uid,
            proof=proof,
            reason=reason,
            opened=at.now,
            until=until,
            steady=at.steady,
            boot=at.boot,
            through=through,
        )

    async def _by_code(self, who: Visitor, code: Secret) -> str:
        try:
            await asyncio.to_thread(self.book.check_code, code, self._moment())
        except WrongCodeError:
            with contextlib.suppress(AuditError):
                facts = {"pid": who.process.pid, "uid": who.process.uid, "wrong": self.book.wrong_codes()[0]}
                await self._realm.acts("break-glass.refused", DIRECTORY, who.human.person, facts)
            raise
        return BY_CODE

    def _seal(self, owner: str, uids: tuple[int, ...]) -> Secret:
        now, domain = self._moment().now, self._realm.trust.domain
        return recovery_code.seal(self.book.directory, now, owner=owner, uids=uids, domain=domain)

    def _put(self, opening: Opening) -> None:
        self._open = opening
        self._realm.emergency = Emergency(opening.id, opening.person, opening.until, opening.said())
        self._tell(opening)

    def _tell(self, opening: Opening) -> None:
        self._told = time.monotonic()
        self._say({"event": "emergency", **opening.to_dict(self._moment())})

    async def _close(self, opening: Opening, why: str) -> None:
        """Closed at once, then kept: what can't be written is closed all the same."""
        self._open = self._realm.emergency = None
        await self._deliver(self._realm.snapshot())
        self._say({"event": "closed", "id": opening.id, "why": why})
        self.book.closed(opening, self._moment().now, why)
        await self._catch_up()

    async def _catch_up(self) -> None:
        """Everything in the book is on record, as soon as the log takes it."""
        for name, row in self.book.unrecorded():
            opening = self.book.openings().get(row["id"])
            human = self._realm.humans.get(opening.person) if opening is not None else None
            facts = {key: value for key, value in row.items() if key in {"at", "why", "review", "opening"}}
            try:
                await self._realm.acts(
                    f"break-glass.{row['what']}", row["id"], human.person if human else None, _told(facts)
                )
            except AuditError:
                return
            self.book.recorded(name)


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of the log: people are pseudonyms there, and are named by the record itself."""
    flat = {**facts, **facts.get("opening", {}), **facts.get("review", {})}
    return {
        key: value for key, value in flat.items() if key not in {"opening", "review", "person", "by", "boot", "id"}
    }
