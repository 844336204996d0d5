"""A person's password as proof for one act that waits, or, in a session that one began, a code typed back."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import math
import os
import pwd
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from remit.control.aside import begun
from remit.control.asker_child import AskerChild
from remit.control.checking import Checking
from remit.control.terminal_walk import in_foreground, types_for_others
from remit.control.visitor import Visitor
from remit.errors import AttestationError, RemitError
from remit.persons import Kind, Pending, ProofRefusedError
from remit.persons.asker_line import MAX_MESSAGE, Order, Outcome
from remit.persons.sessions import Held, ProofSessions, new_code
from remit.persons.terminal_settings import TIOCNXCL
from remit.persons.terminals import Leader, TerminalRefusedError

LOOK_SECONDS: Final = 0.25
AGREED: Final = "agreed"
_REPEAT: Final = "repeat the command"
_PAGE: Final = "a passkey's page can show it: `remit passkey add` adds one"


class Waiting(Protocol):
    """The acts that wait for a proof (`control/proving.py`)."""

    def pending(self, pending_id: str) -> Pending: ...

    def grant(self, pending_id: str, kind: Kind, evidence: str, *, session: bool = False) -> None: ...

    async def refuse(self, pending_id: str, why: str) -> None: ...


class Record(Protocol):
    """Writes down an act of a person, durably."""

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None: ...


class Walk(Protocol):
    """Looks at a terminal and all who can type or read there (`control/terminal_walk.py`)."""

    def leader(self, pid: int, start: int, uid: int, terminal: int) -> Leader: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A visitor with their terminal. `hung_up` returns when nobody waits for the answer any more."""

    who: Visitor
    proof_id: str
    terminal: int
    hung_up: Callable[[], Awaitable[None]]


class TerminalProof:
    """Asks at a terminal, one question at a time. `clock` is monotonic seconds."""

    def __init__(
        self,
        waiting: Waiting,
        checking: Checking,
        walk: Walk,
        record: Record,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting, self._checking, self._walk, self._record, self._clock = waiting, checking, walk, record, clock
        self._sessions = ProofSessions()
        self._asking: set[tuple[int, int]] = set()

    async def obtain(self, asked: Asked) -> None:
        """Return once the proof is granted. Raises what refuses it.

        1. an act waits under that id for this very process, which nobody governs, and a password would do
        2. it stands where its person may type one, and nobody is asked there now
        3. they see all of it, and answer there
        4. what they typed is right
        5. what was so in 2 is so still
        """
        pending = await self._due(asked)  # 1
        with self._alone_at(asked.terminal):
            leader = await self._standing(asked, pending)  # 2
            await self._ask(asked, pending, leader)

    async def _due(self, asked: Asked) -> Pending:
        who, process = asked.who, asked.who.process
        who.check_not_governed()
        pending = self._waiting.pending(asked.proof_id)
        asking = pending.asking
        if (asking.uid, asking.pid, asking.start) != (process.uid, process.pid, process.start):
            await self._refused(asked, pending, "another process asked for what waits")
            raise ProofRefusedError("this proof is another process's", hint=_REPEAT)
        if pending.granted is not None:
            raise ProofRefusedError("this act has its proof already", hint=_REPEAT)
        if not Kind.PASSWORD.reaches(pending.needed):
            raise ProofRefusedError(f"`{pending.act}` needs a {pending.needed}, not a password", hint=_REPEAT)
        if not self._checking.possible:
            raise ProofRefusedError("nobody checks passwords here now", hint="root starts Remit again")
        seconds = self._checking.wait(process.uid)
        if seconds > 0:
            raise ProofRefusedError(
                f"too many wrong passwords: the next one is looked at in {math.ceil(seconds)} s", hint=_REPEAT
            )
        return pending

    @contextlib.contextmanager
    def _alone_at(self, terminal: int) -> Iterator[None]:
        facts = os.fstat(terminal)
        node = (facts.st_dev, facts.st_ino)
        if node in self._asking:
            raise ProofRefusedError("somebody is asked at this terminal already", hint=_REPEAT)
        self._asking.add(node)
        try:
            yield
        finally:
            self._asking.discard(node)
            with contextlib.suppress(OSError):
                fcntl.ioctl(terminal, TIOCNXCL)

    async def _standing(self, asked: Asked, pending: Pending) -> Leader:
        process = asked.who.process
        try:
            look = partial(self._walk.leader, process.pid, process.start, process.uid, asked.terminal)
            return await begun(look)  # a walk takes seconds where somebody has a million files open
        except (TerminalRefusedError, AttestationError) as error:
            await self._refused(asked, pending, str(error))
            raise TerminalRefusedError(str(error), hint=error.hint) from error

    async def _ask(self, asked: Asked, pending: Pending, leader: Leader) -> None:
        held = None if types_for_others(leader.terminal) else self._sessions.held(leader, self._clock())
        order = _order(asked.who, pending, new_code() if held else "")
        if len(order.to_bytes()) > MAX_MESSAGE:
            raise ProofRefusedError("this is too much to show at a terminal", hint=_PAGE)
        child, verdict = AskerChild(asked.terminal), ""
        try:
            verdict = await self._answered(asked, pending, leader, child, order, held)
        except RemitError as error:
            verdict = f"remit: {error}"
            raise
        finally:
            await child.close(verdict)

    async def _answered(
        self, asked: Asked, pending: Pending, leader: Leader, child: AskerChild, order: Order, held: Held | None
    ) -> str:
        answer = await child.ask(order, _lost(asked))  # 3
        if answer.outcome is Outcome.TYPED and held is None:  # 4
            checked = await self._checking.check(leader.uid, order.account, child.take_password())
            why = "" if checked.ok else checked.why
        elif answer.outcome is Outcome.TYPED:
            why = "" if answer.code.lower() == order.code else "this is not the code that was shown"
        else:
            why = answer.outcome.why
        if why:
            self._sessions.end(leader)
            await self._waiting.refuse(pending.id, why)
            raise ProofRefusedError(why, hint=f"nothing was done; {_REPEAT}")
        if await self._standing(asked, pending) != leader:  # 5
            raise ProofRefusedError("the session at this terminal is another one by now", hint=_REPEAT)
        self._waiting.grant(pending.id, Kind.PASSWORD, _evidence(pending, leader, held), session=held is not None)
        if held is None:
            self._sessions.begin(leader, _evidence(pending, leader, None), self._clock())
        return AGREED

    async def _refused(self, asked: Asked, pending: Pending, why: str) -> None:
        process = asked.who.process
        facts = {"why": why, "pid": process.pid, "uid": process.uid, "arguments": pending.asking.shown.digest}
        await self._record("person.refused", pending.act.value, asked.who.human.person, facts)


async def _lost(asked: Asked) -> None:
    """Until nobody waits for the answer, or somebody else is in the foreground and would get the keys."""
    hung_up = asyncio.ensure_future(asked.hung_up())
    try:
        while in_foreground(asked.who.process.pid) and not hung_up.done():
            await asyncio.wait({hung_up}, timeout=LOOK_SECONDS)
    finally:
        hung_up.cancel()


def _order(who: Visitor, pending: Pending, code: str) -> Order:
    process = who.process
    try:
        account = pwd.getpwuid(process.uid).pw_name
    except KeyError:
        raise ProofRefusedError(
            f"uid {process.uid} has no account, so no password", hint="root gives it one"
        ) from None
    called = process.exe or process.name
    return Order(account, pending.act.value, f"process {process.pid} ({called})", pending.asking.shown.lines(), code)


def _evidence(pending: Pending, leader: Leader, held: Held | None) -> str:
    """SHA-256 of what proved it: which act, where, and of a session with what it began."""
    where = [leader.uid, str(leader.terminal), leader.pid, leader.start]
    began = held.evidence if held is not None else ""
    return hashlib.sha256(json.dumps([pending.id, *where, began]).encode()).hexdigest()
