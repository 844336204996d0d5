"""Break-glass while control works: opened for one person, told all the time, closed by itself, listed for review."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final, Protocol

from remit.control.codes import Codes
from remit.control.moments import this_moment
from remit.control.realm import Realm
from remit.control.recalled import forgotten, keep_again, told
from remit.control.roles import Reach
from remit.control.visitor import Visitor
from remit.errors import AuditError, StateError
from remit.persons import Act, Kind, Proof, Shown, break_glass, openings, recovery_code
from remit.persons.break_glass import CONTROL, BreakGlassError, Moment, Opening
from remit.persons.openings_book import OpeningsBook
from remit.persons.sealing import DIRECTORY
from remit.policy import Snapshot
from remit.policy.emergency import Emergency
from remit.secret import Secret

LOOK_SECONDS: Final = 0.5
TELL_SECONDS: Final = 60.0
UNSEALED: Final = "no recovery code is sealed: stop Remit, and `sudo remit break-glass seal`"
SEAL_ANEW: Final = "the recovery code stays good: seal a new one when this is over, if anybody may have seen it"


class Deliveries(Protocol):
    """Puts a Snapshot in force at every worker."""

    async def __call__(self, snapshot: Snapshot) -> bool: ...


class Proofs(Protocol):
    """Proof of a person for an act with exactly these arguments; raises what the visitor is told instead."""

    async def require(self, who: Visitor, act: Act, shown: Shown) -> Proof: ...


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
        self._one_change, self._codes = asyncio.Lock(), Codes(book, realm.acts)
        self._open: Opening | None = None
        self.log: Path | None = None  # of this instance: it outlives a book that is replaced
        self.shared = False  # whether others than its owner are admitted, who can review what the owner opened
        self.closed = asyncio.Event()  # set when one was
        self._told = 0.0

    @property
    def is_open(self) -> bool:
        return self._open is not None and self._open.left(self._moment()) > 0

    def take_up(self, closed: Collection[str]) -> None:
        """What was open when control ended is open until its limit; not what the log says was closed.

        Nor what an emergency instance granted: it is over with that one.
        """
        at = self._moment()
        with contextlib.suppress(StateError):  # a full disk: it is over all the same
            self.close_dead()
        for opening in self.book.openings().values():
            if opening.left(at) > 0 and opening.id not in closed and not opening.in_emergency:
                self._put(opening)

    def close_dead(self, *, all_of_them: bool = False) -> None:
        """Close what emergency instances left open that were killed; with `all_of_them` whoever opened it.

        For who holds this instance's lock: none of them can be alive. Raises StateError.
        """
        for opening in self.book.openings().values():
            if opening.closed is None and (
                opening.in_emergency or (all_of_them and opening.left(self._moment()) > 0)
            ):
                self.book.closed(opening, self._moment().now, "its instance had ended")

    def seal_first(self, owner: str, uids: tuple[int, ...]) -> None:
        """Seal a recovery code unless one is sealed; told once, in the owner's terminal. Raises StateError.

        A whole machine's is sealed by who installs it: what its control says may end in a journal.
        """
        self.book.keep_room()
        if self.book.sealed() is None and self.shared:
            self._say({"event": "note", "text": UNSEALED})
        elif self.book.sealed() is None:
            self._say({"event": "sealed", "code": self._seal(owner, uids).reveal()})

    async def open(self, who: Visitor, reason: str, seconds: float, code: str) -> dict[str, Any]:
        """Open it for who asks, proved by the recovery code, or as control has a person proved without one.

        Raises UsageError, NotAdmittedError, BreakGlassError, WrongCodeError, StateError.
        """
        who.check_not_governed()
        said = break_glass.check_asked(reason, seconds)
        proof = await self._codes.check(who, Secret(code), self._moment().now) if code else ""
        async with self._one_change:
            break_glass.check_none_open(self.book.openings().values(), self._moment())
            if not proof:
                shown = Shown.of(reason=said, seconds=seconds)
                proof = (await self.proofs.require(who, Act.BREAK_GLASS_OPEN, shown)).kind.value
                if proof == Kind.UID:
                    raise BreakGlassError("a uid alone opens no break-glass", hint="give the recovery code")
            person, uid = who.human.name, who.process.uid
            opening = Opening.begun(person, uid, proof, said, seconds, through=CONTROL, at=self._moment())
            self.begin(opening)
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
        """Somebody else looked at it; or the same person, where no other could."""
        who.check_not_governed()
        await self.proofs.require(who, Act.BREAK_GLASS_REVIEW, Shown.of(opening=opening_id, note=note))
        async with self._one_change:
            opening = break_glass.named(self.book.openings(), opening_id)
            review = break_glass.reviewed(opening, who.human.name, note, self._moment(), alone=self.alone())
            self.book.reviewed(opening, review)
        await self._catch_up()
        return self.shown(opening_id)

    async def seal(self, who: Visitor) -> dict[str, Any]:
        """A new recovery code in the place of the one before; it is in the answer and nowhere else."""
        await self.proofs.require(who, Act.BREAK_GLASS_SEAL, Shown.of(owner=who.human.name))
        code = self._seal(who.human.name, who.human.uids)
        await self._realm.acts("break-glass.sealed", DIRECTORY, who.human.person, {})
        return {"code": code.reveal()}

    def alone(self) -> bool:
        """Whether nobody else than its owner is admitted here."""
        return not self.shared or sum(bool(human.uids) for human in self._realm.humans.values()) <= 1

    def listed(self, reach: Reach) -> dict[str, Any]:
        """The openings that one of that reach may see, and what shows that the list is not whole."""
        return openings.listed(self.book, self._moment(), reach.sees)

    def shown(self, opening_id: str) -> dict[str, Any]:
        return break_glass.named(self.book.openings(), opening_id).to_dict(self._moment())

    def standing(self) -> dict[str, Any]:
        """For `status`."""
        return openings.standing(self.book, self._moment(), self._open.id if self._open is not None else "")

    async def mind(self) -> None:
        """For ever: close it at its limit, say each minute that it is open, write down what the log did not take."""
        await self._recall()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            opening = self._open
            if opening is not None and opening.left(self._moment()) <= 0:
                await self._close(opening, "its time was over")
            elif opening is not None and time.monotonic() - self._told >= TELL_SECONDS:
                self._tell(opening)
            await self._catch_up()

    def begin(self, opening: Opening) -> None:
        """In force with the next Snapshot, and kept before that. Raises StateError."""
        self.book.opened(opening)
        self._put(opening)

    async def end(self, why: str) -> None:
        """Close it, if it is open."""
        if self._open is not None:
            await self._close(self._open, why)

    async def _recall(self) -> None:
        """What the log has and the book lost is due for review again: a backup was restored, or it was taken away."""
        names = {human.person: human.name for human in self._realm.humans.values()}
        known = set(self.book.openings())
        try:
            lost = await asyncio.to_thread(forgotten, self.log, known, names, self._moment().now) if self.log else []
            for opening in lost:
                keep_again(self.book, opening)
        except (AuditError, StateError) as error:
            self._say(
                {"event": "note", "text": f"whether an opening of break-glass is missing can't be told: {error}"}
            )

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
        self.closed.set()
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
                    f"break-glass.{row['what']}", row["id"], human.person if human else None, told(facts)
                )
            except AuditError:
                return
            self.book.recorded(name)
