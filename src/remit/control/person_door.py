"""The door where a command asks that its person type their password: `person.sock`, in system mode.

A command sends one line, `{"proof": ID}`, and beside it its terminal (SCM_RIGHTS); the answer is one line. What the
kernel says of both decides whether anybody is asked: nothing that the command says of itself does.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from remit.config import Places, Settings
from remit.control.aside import aside, begun
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


class BusyError(RemitError):
    """Too many are asked already."""

    exit_code = 3


class PersonDoor:
    """Each visitor in a task of its own; few of one account, and bounded overall."""

    def __init__(self, admit: Admit, proof: TerminalProof) -> None:
        self._admit, self._proof = admit, proof
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
            self._enter(peer.uid)
            terminal = None
            try:
                said, terminal = await _heard(line)
                await self._prove(line, peer, said, terminal)
            finally:
                self._leave(peer.uid, terminal)
        except RemitError as error:
            return {"error": {"message": str(error), "hint": error.hint, "exit_code": error.exit_code}}
        return {"ok": True}

    def _enter(self, uid: int) -> None:
        if self._of_uid[uid] >= OF_ONE_UID or self._of_uid.total() >= OF_ALL:
            raise BusyError("too many are asked for their password now", hint="answer them, or try again later")
        self._of_uid[uid] += 1

    def _leave(self, uid: int, passed: int | None) -> None:
        """Its place is free once what it passed is closed: that may take as long as somebody likes."""
        if passed is None:
            self._free(uid)
            return
        closing = begun(partial(os.close, passed))
        closing.add_done_callback(lambda _: self._free(uid))

    def _free(self, uid: int) -> None:
        self._of_uid[uid] -= 1
        self._of_uid += Counter()  # those at nothing are forgotten

    async def _prove(self, line: socket.socket, peer: PeerCredentials, said: bytes, passed: int | None) -> None:
        proof_id = _proof_id(said)
        if passed is None or not await aside(partial(os.isatty, passed)):
            raise UsageError("what was passed is no terminal")
        who = await self._admit(peer)
        await self._proof.obtain(Asked(who, proof_id, passed, partial(_readable, line)))


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
    stack.push_async_callback(await PersonDoor(desk.admit, proof).open(places.person_socket, places.socket_mode))
    desk.proofs.passwords = lambda: tools.checking.possible


async def _heard(line: socket.socket) -> tuple[bytes, int | None]:
    """The one line, and the first descriptor that came with it; the kernel closes others."""
    try:
        async with asyncio.timeout(SAY_SECONDS):
            await _readable(line)
    except TimeoutError as error:
        raise UsageError("nothing was said in time") from error
    said, passed, _, _ = socket.recv_fds(line, LINE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
    return said, next(iter(passed), None)


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
