"""A proof at a terminal, as control obtains it: what it does in threads, and where a code will do."""

import asyncio
import os
import pty
import threading
from pathlib import Path
from typing import Any

import pytest

from remit.control.roles import Reach, Role
from remit.control.terminal_proof import Asked, TerminalProof
from remit.control.terminal_walk import types_for_others
from remit.control.visitor import Visitor
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import Human
from remit.persons import Act, Kind, Pending, ProofRefusedError, Shown
from remit.persons.asker_line import MAX_MESSAGE
from remit.persons.pending import Asking
from remit.persons.terminals import Device, Leader, TerminalRefusedError

ADA = Human("ada", "person-1", (0,))


class SlowWalk:
    """Looks at all processes until it is told that it has seen them, then refuses."""

    def __init__(self) -> None:
        self.seen = threading.Event()

    def leader(self, pid: int, start: int, uid: int, terminal: int) -> Leader:
        self.seen.wait()
        raise TerminalRefusedError("somebody else can type there")


class FitTerminal:
    """Everywhere."""

    def leader(self, pid: int, start: int, uid: int, terminal: int) -> Leader:
        return Leader(uid, Device(136, 3), pid, start)


class OnePending:
    """An act of this very process, which takes a password."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def pending(self, pending_id: str) -> Pending:
        return Pending(pending_id, self.asking, Kind.PASSWORD, 0.0)


class AnyChecker:
    possible = True

    def wait(self, _uid: int) -> float:
        return 0.0


async def unrecorded(*_of_what: Any) -> None: ...


async def never() -> None:
    await asyncio.Event().wait()


def test_walks_however_many_leave_control_its_threads() -> None:
    """More of them at once than asyncio has threads for everybody (concurrent.futures: 32, or processors + 4)."""

    async def body() -> None:
        walk, process = SlowWalk(), observe(os.getpid(), digests=EXECUTABLES)
        who = Visitor(process, ADA, "terminal", reach=Reach("ada", Role.ADMINISTRATOR, (0,)))
        asking = Asking(process.uid, process.pid, process.start, Act.STOP, Shown.of(instance="here"))
        proof = TerminalProof(OnePending(asking), AnyChecker(), walk, unrecorded)  # type: ignore[arg-type]
        pairs = [pty.openpty() for _ in range(33)]
        asked = [asyncio.ensure_future(proof.obtain(Asked(who, "abc", slave, never))) for _, slave in pairs]
        try:
            async with asyncio.timeout(10):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(os.getpid)
        finally:
            walk.seen.set()
            ends = await asyncio.gather(*asked, return_exceptions=True)
            for end in (end for pair in pairs for end in pair):
                os.close(end)
        assert all(isinstance(end, TerminalRefusedError) for end in ends)

    asyncio.run(body())


def test_what_is_too_much_to_show_is_not_asked_for() -> None:
    """In bytes: a sign may take twelve on the way to the asker, where a letter takes one."""

    async def body() -> None:
        process = observe(os.getpid(), digests=EXECUTABLES)
        who = Visitor(process, ADA, "terminal", reach=Reach("ada", Role.ADMINISTRATOR, (0,)))
        shown = Shown.of(purpose="\U0001f600" * (MAX_MESSAGE // 12))
        asking = Asking(process.uid, process.pid, process.start, Act.TASK_START, shown)
        proof = TerminalProof(OnePending(asking), AnyChecker(), FitTerminal(), unrecorded)  # type: ignore[arg-type]
        master, slave = pty.openpty()
        try:
            with pytest.raises(ProofRefusedError, match="too much to show"):
                await proof.obtain(Asked(who, "abc", slave, never))
        finally:
            os.close(master)
            os.close(slave)

    asyncio.run(body())


def test_a_code_will_do_only_where_no_program_can_type_it(tmp_path: Path) -> None:
    ssh, screen, allowed = Device(136, 3), Device(4, 1), tmp_path / "legacy_tiocsti"
    assert types_for_others(ssh, allowed), "not known"
    allowed.write_text("1\n")
    assert types_for_others(ssh, allowed)
    allowed.write_text("0\n")
    assert not types_for_others(ssh, allowed)
    assert types_for_others(screen, allowed)
