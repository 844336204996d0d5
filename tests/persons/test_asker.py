"""The asker on a real terminal: what it shows and takes, and that the terminal is its person's again after it."""

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from remit.control.asker_child import AskerChild
from remit.persons import Shown
from remit.persons.asker_line import MAX_TYPED, Answer, Order, Outcome

SHOWN = Shown.of(on="demo", actions=["disclose"], purpose="nothing\x1b[2K\ru else")
ORDER = Order("ada", "task.start", "process 7 (remit)", SHOWN.lines())
IUTF8 = 0x4000
PATIENCE = 10.0


class Terminal:
    """A pseudo-terminal whose keys the test presses and whose screen it reads."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.keys, self.own = pty.openpty()
        fcntl.ioctl(self.own, termios.TIOCSWINSZ, struct.pack("=4H", rows, columns, 0, 0))
        settings = termios.tcgetattr(self.own)
        settings[0] |= IUTF8
        termios.tcsetattr(self.own, termios.TCSANOW, settings)
        self.before = termios.tcgetattr(self.own)
        self.screen = b""

    async def shows(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.screen:
            assert time.monotonic() < deadline, self.screen
            if select.select([self.keys], [], [], 0)[0]:
                self.screen += os.read(self.keys, 65536)
            await asyncio.sleep(0.01)

    def press(self, keys: bytes) -> None:
        os.write(self.keys, keys)

    def close(self) -> None:
        os.close(self.keys)
        os.close(self.own)


@asynccontextmanager
async def asked(
    terminal: Terminal, order: Order = ORDER, lost: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> AsyncIterator[tuple[AskerChild, "asyncio.Task[Answer]"]]:
    child = AskerChild(terminal.own)
    never = asyncio.Event()
    task = asyncio.create_task(child.ask(order, lost() if lost else _until(never)))
    try:
        yield child, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await child.close()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


def at_a_terminal(body: Callable[[Terminal], Coroutine[Any, Any, None]], rows: int = 24, columns: int = 80) -> None:
    terminal = Terminal(rows, columns)
    try:
        asyncio.run(body(terminal))
        assert termios.tcgetattr(terminal.own) == terminal.before
        os.close(os.open(os.ttyname(terminal.own), os.O_RDWR | os.O_NOCTTY))
    finally:
        terminal.close()


def test_a_password_reaches_who_checks_it_and_not_the_screen() -> None:
    async def body(terminal: Terminal) -> None:
        async with asked(terminal) as (child, answer):
            await terminal.shows("password of ada")
            terminal.press("wrong\x15correct häx\x7forse\n".encode())
            assert await answer == Answer(Outcome.TYPED)
            taken = child.take_password()
            assert os.read(taken, 4096) == "correct häorse".encode()
            assert os.read(taken, 1) == b""
            os.close(taken)
            await child.close("thank you")
            await terminal.shows("thank you")
            assert b"horse" not in terminal.screen
            assert b"\\u{001b}[2K\\u{000d}u else" in terminal.screen
            assert b'actions: ["disclose"]' in terminal.screen

    at_a_terminal(body)


@pytest.mark.parametrize("keys", [b"\x03", b"\x04", b"\x1c", b"\x1a", b"\n", b"half\x03"])
def test_a_person_can_refuse(keys: bytes) -> None:
    async def body(terminal: Terminal) -> None:
        async with asked(terminal) as (child, answer):
            await terminal.shows("password of ada")
            terminal.press(keys)
            assert await answer == Answer(Outcome.REFUSED)
            taken = child.take_password()
            assert os.read(taken, 4096) == b""
            os.close(taken)

    at_a_terminal(body)


def test_what_was_typed_before_it_asked_is_thrown_away() -> None:
    async def body(terminal: Terminal) -> None:
        terminal.press(b"typed ahead\n")
        async with asked(terminal) as (child, answer):
            await terminal.shows("password of ada")
            terminal.press(b"typed\n")
            assert await answer == Answer(Outcome.TYPED)
            taken = child.take_password()
            assert os.read(taken, 4096) == b"typed"
            os.close(taken)

    at_a_terminal(body)


def test_a_password_that_none_can_be_is_not_cut_short() -> None:
    async def body(terminal: Terminal) -> None:
        async with asked(terminal) as (_, answer):
            await terminal.shows("password of ada")
            terminal.press(b"x" * (MAX_TYPED + 1))
            assert await answer == Answer(Outcome.LONG)

    at_a_terminal(body)


def test_a_code_is_shown_and_typed_back() -> None:
    async def body(terminal: Terminal) -> None:
        order = Order("ada", "task.start", "process 7 (remit)", SHOWN.lines(), code="kmpx")
        async with asked(terminal, order) as (_, answer):
            await terminal.shows("type kmpx to agree")
            terminal.press(b"kmpz\x7fx\n")
            assert await answer == Answer(Outcome.TYPED, "kmpx")

    at_a_terminal(body)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_terminal_is_given_back_however_the_asker_ends(number: int) -> None:
    async def body(terminal: Terminal) -> None:
        async with asked(terminal) as (child, answer):
            await terminal.shows("password of ada")
            assert not termios.tcgetattr(terminal.own)[3] & termios.ECHO
            os.kill(child._process.pid, number)
            assert (await answer).outcome in {Outcome.REFUSED, Outcome.GONE}

    at_a_terminal(body)


def test_it_ends_when_nobody_waits_for_the_answer_any_more() -> None:
    async def body(terminal: Terminal) -> None:
        hung_up = asyncio.Event()

        async with asked(terminal, lost=lambda: _until(hung_up)) as (_, answer):
            await terminal.shows("password of ada")
            hung_up.set()
            assert await answer == Answer(Outcome.GONE)

    at_a_terminal(body)


def test_a_terminal_that_vanishes_ends_it() -> None:
    async def body() -> None:
        terminal = Terminal()
        async with asked(terminal) as (_, answer):
            await terminal.shows("password of ada")
            os.close(terminal.keys)
            assert await answer == Answer(Outcome.GONE)
        os.close(terminal.own)

    asyncio.run(body())


def test_more_than_the_screen_holds_comes_in_pages() -> None:
    async def body(terminal: Terminal) -> None:
        many = Shown.of(**{f"line_{number}": "x" * 30 for number in range(12)})
        async with asked(terminal, Order("ada", "task.start", "process 7 (remit)", many.lines())) as (_, answer):
            await terminal.shows("Enter shows the rest")
            assert b"line 11" not in terminal.screen
            for _ in range(3):
                terminal.press(b"\n")
            await terminal.shows("password of ada")
            assert b"line 11" in terminal.screen
            terminal.press(b"\x03")
            await answer

    at_a_terminal(body, rows=10, columns=40)
