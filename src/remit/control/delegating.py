"""Authority handed on: people's sessions, and tasks cut from them, from tasks, from a workload's own identity."""

import dataclasses
import secrets
from collections.abc import Callable
from typing import Final, TypeAlias

from remit.control.book import Book
from remit.control.tasking import Tasking, facts, fresh_id
from remit.errors import NotFoundError, RemitError, UsageError
from remit.identity import SpiffeId
from remit.inventory import Human, Workload
from remit.secret import Secret
from remit.tasks import Session, Task
from remit.tasks.delegation import DelegationError, Origin, Wanted, begun, check_room, cut
from remit.tasks.token import SESSION_PREFIX, digest, mint

MAX_SESSION_SECONDS: Final = 86_400.0

Source: TypeAlias = Session | Task | Workload


class Delegating:
    """Acts on the sessions in `book`, and on the tasks that are cut from something."""

    def __init__(self, book: Book, tasking: Tasking) -> None:
        self._book, self._tasking = book, tasking

    async def begin(self, human: Human, seconds: float, proof: str, login: str = "") -> tuple[Session, str]:
        """Begin a person's session; the session and its token, which is shown once and kept nowhere."""
        if not 0 < seconds <= MAX_SESSION_SECONDS:
            raise UsageError("a session lasts more than 0 seconds and at most a day", hint="for example `--for 8h`")
        async with self._book.one_act:
            now = self._book.clock()
            token, known_as = mint(secrets.token_bytes(32), SESSION_PREFIX)
            session = Session("s-" + secrets.token_hex(6), human.name, now, now + seconds, known_as, proof, login)
            told = {"proof": proof, "login": login, "expires": round(session.expires, 3)}
            await self._book.acts("session.begun", session.id, human.person, told)
            self._book.keep_session(session)
            return session, token

    async def end(self, session_id: str, why: str) -> Session:
        """End a session, and all that was cut from it. Raises NotFoundError for one that isn't open."""
        async with self._book.one_act:
            session, now = self._book.sessions.get(session_id), self._book.clock()
            if session is None or session.ended is not None or now >= session.expires:
                raise NotFoundError(f"no session `{session_id}` is open", hint="`remit status` shows those that are")
            ended = dataclasses.replace(session, ended=now)
            await self._book.end_session(ended, {"why": why})
            await self._tasking.end_all_of(session.id, "the session that it was cut from has ended")
            return ended

    async def hand_on(
        self,
        source: Source,
        wanted: Wanted,
        actor: Workload | None,
        sign: Callable[[Task], Secret],
    ) -> tuple[Task, Secret]:
        """The part of `source` that `actor` gets, and its token, made by `sign`; raises DelegationError.

        1. whoever has held it is still active, and whoever gets it acts for the same person
        2. it is no more than there is, and not one too many
        3. signed, recorded, kept
        """
        async with self._book.one_act:
            now = self._book.clock()
            source = self._as_it_is(source)
            # 1
            self._check_hands(source, actor)
            # 2
            task = self._cut(source, wanted, actor.spiffe_id if actor is not None else None, now)
            check_room(task.human, self._book.tasks.values(), now)
            # 3
            token = sign(task)
            task = dataclasses.replace(task, token_sha256=digest(token.reveal()))
            person = self._book.humans[task.human].person
            await self._book.acts("task.handed_on", task.id, person, {**facts(task), "actions": list(task.actions)})
            self._book.keep_task(task)
            return task, token

    def _as_it_is(self, source: Source) -> Source:
        """The source as the book has it now: it was found before this act's turn came."""
        match source:
            case Task():
                return self._book.tasks.get(source.id, source)
            case Session():
                return self._book.sessions[source.id]
        return self._book.workloads.get(source.spiffe_id, source)

    def _check_hands(self, source: Source, actor: Workload | None) -> None:
        chain = source.chain if isinstance(source, Task) else ()
        own = (source.spiffe_id,) if isinstance(source, Workload) else ()
        for spiffe_id in (*chain, *own, *((actor.spiffe_id,) if actor is not None else ())):
            holder = self._book.workloads.get(spiffe_id)
            if holder is None or not holder.active:
                raise DelegationError("invalid_grant", f"`{spiffe_id}`, which has held it, is not active")
        human = source.owner if isinstance(source, Workload) else source.human
        if actor is not None and self._book.workloads[actor.spiffe_id].owner != human:
            raise DelegationError("invalid_grant", f"`{actor.name}` acts for another person")

    def _cut(self, source: Source, wanted: Wanted, actor: SpiffeId | None, now: float) -> Task:
        if isinstance(source, Task):
            return cut(source, wanted, actor, now, task_id=fresh_id())
        if isinstance(source, Session):
            task = begun(Origin.session(source, now), wanted, actor, now, task_id=fresh_id())
            self._check(lambda: self._tasking.check(self._book.humans[task.human], task.on, task.actions))
            return task
        task = begun(Origin.workload(source.spiffe_id, source.owner, now), wanted, actor, now, task_id=fresh_id())
        self._check(lambda: self._tasking.check_what(task.on, task.actions))
        return task

    @staticmethod
    def _check(check: Callable[[], None]) -> None:
        try:
            check()
        except RemitError as error:
            raise DelegationError("invalid_target", str(error), hint=error.hint) from error
