"""The door where a command asks that its person type their password: `person.sock`, in system mode.

A command sends one line, `{"proof": ID}`, and beside it its terminal (SCM_RIGHTS); the answer is one line. What the
kernel says of both decides whether anybody is asked: nothing that the command says of itself does.
"""

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from remit.config import Places, Settings
from remit.control.aside import begun, in_time
from remit.control.desk import Desk
from remit.control.founding import Tools
from remit.control.terminal_proof import Asked, Record, TerminalProof
from remit.control.terminal_walk import TerminalWalk
from remit.control.visitor import Visitor
from remit.errors import AttestationError, RemitError, UsageError
from remit.identity import PeerCredentials
from remit.identity.attestation.asking import Lines
from remit.identity.unix_socket import ListeningSocket

LINE_BYTES: Final = 512
SAY_SECONDS: Final = 5.0  # in which a command must have said what it wants
OF_ONE_UID: Final = 4
OF_ALL: Final = 32
LOOK_SECONDS: Final = 0.25
LINES: Final = 1  # to the attestor

Admit = Callable[[PeerCredentials], Awaitable[Visitor]]
Meet = Callable[[int], Awaitable[object]]


class BusyError(RemitError):
    """Too many are asked already."""

    exit_code = 3


class PersonDoor:
    """Each visitor in a task of its own; few of one account, and bounded overall."""

    def __init__(self, meet: Meet, admit: Admit, proof: TerminalProof) -> None:
        """`meet` raises NotAdmittedError for a uid that is no person's: else a few accounts' many uids fill it."""
        self._meet, self._admit, self._proof = meet, admit, proof
        self._of_uid: Counter[int] = Counter()
        self._visits: set[asyncio.Task[None]] = set()

    async def open(self, path: Path, mode: int) -> Callable[[], Awaitable[None]]:
        """Listen at `path`; the returned function ends it. Raises StateError where that place is taken."""
        listening = ListeningSocket.bind(path, mode)
        accepting = asyncio.create_task(self._accept(listening.socket))

        async def close() -> None:
            for task in (accepting, *self._visits):
                task.cancel()
            await asyncio.gather(accepting, *self._visits, return_exceptions=True)
            listening.remove()

        return close

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                line, _ = await loop.sock_accept(listening)
            except OSError:  # out of descriptors, or it hung up before
                await asyncio.sleep(LOOK_SECONDS)
                continue
            task = loop.create_task(self._visit(line))
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)

    async def _visit(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError, AttestationError):
            line.setblocking(False)
            peer = PeerCredentials.of(line)
            try:
                said = await self._answered(line, peer)
            finally:
                peer.close()
            line.send(json.dumps(said).encode() + b"\n")

    async def _answered(self, line: socket.socket, peer: PeerCredentials) -> dict[str, Any]:
        try:
            await self._meet(peer.uid)
            self._enter(peer.uid)
            passed = looked = None
            try:
                said, passed = await _heard(line)
                proof_id = _proof_id(said)
                looked = None if passed is None else begun(partial(_is_terminal, passed))
                if passed is None or looked is None or not await in_time(looked):
                    raise UsageError("what was passed is no terminal", hint="run it in the foreground of a terminal")
                who = await self._admit(peer)
                await self._proof.obtain(Asked(who, proof_id, passed, partial(_readable, line)))
            finally:
                self._leave(peer.uid, passed, looked)
        except RemitError as error:
            return {"error": {"message": str(error), "hint": error.hint, "exit_code": error.exit_code}}
        return {"ok": True}

    def _enter(self, uid: int) -> None:
        if self._of_uid[uid] >= OF_ONE_UID or self._of_uid.total() >= OF_ALL:
            raise BusyError("too many are asked for their password now", hint="answer them, or try again later")
        self._of_uid[uid] += 1

    def _leave(self, uid: int, passed: int | None, looked: "asyncio.Future[bool] | None") -> None:
        """Its place is free once what it passed was looked at and closed: that may take as long as somebody likes."""
        if passed is None:
            self._free(uid)
            return

        def close(_looked: object = None) -> None:
            begun(partial(_close, passed)).add_done_callback(lambda _closed: self._free(uid))

        if looked is None:
            close()
        else:
            looked.add_done_callback(close)

    def _free(self, uid: int) -> None:
        self._of_uid[uid] -= 1
        self._of_uid += Counter()  # those at nothing are forgotten


async def open_person_door(
    stack: contextlib.AsyncExitStack, places: Places, settings: Settings, tools: Tools, desk: Desk, record: Record
) -> None:
    """Where passwords can be checked: in system mode, which alone has a checker and an attestor."""
    if not tools.checking.possible or tools.attestor is None:
        return
    lines = Lines(tools.attestor.lines(LINES))
    stack.callback(lines.close)
    walk = TerminalWalk(lines, settings.proof.terminals)
    proof = TerminalProof(desk.proofs.proving, tools.checking, walk, record)
    door = PersonDoor(desk.meet, desk.admit, proof)
    stack.push_async_callback(await door.open(places.person_socket, places.socket_mode))
    desk.proofs.passwords = lambda: tools.checking.possible


async def _heard(line: socket.socket) -> tuple[bytes, int | None]:
    """The one line, and the first descriptor that came with it; the kernel closes others."""
    try:
        async with asyncio.timeout(SAY_SECONDS):
            await _readable(line)
    except TimeoutError as error:
        raise UsageError("nothing was said in time", hint="repeat the command") from error
    said, passed, _, _ = socket.recv_fds(line, LINE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
    return said, next(iter(passed), None)


def _close(passed: int) -> None:
    """It is, also where what is behind it says that it failed (close(2))."""
    with contextlib.suppress(OSError):
        os.close(passed)


def _is_terminal(passed: int) -> bool:
    """Blocks as long as whoever passed it likes. Of a device only its driver is asked."""
    with contextlib.suppress(OSError):
        return stat.S_ISCHR(os.fstat(passed).st_mode) and os.isatty(passed)
    return False


def _proof_id(said: bytes) -> str:
    with contextlib.suppress(ValueError):
        match json.loads(said):
            case {"proof": str(proof_id), **more} if not more:
                return proof_id
    raise UsageError("a proof's id is expected, and beside it a terminal")


async def _readable(line: socket.socket) -> None:
    """Once it is; after its one line, that is when the command ends."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(line, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(line)
