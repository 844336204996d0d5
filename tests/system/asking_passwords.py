"""Runs in a machine of a test's own, as its root: starts the checker of passwords as root's launcher does, becomes
somebody who may do nothing, and asks it what the lines on standard input say, as control does.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from typing import Any

SOURCE = sys.argv[1]
sys.path.insert(0, SOURCE)

from remit.control.checking import Checking  # noqa: E402 (the path comes first)
from remit.persons.checker_line import Question  # noqa: E402
from remit.persons.start_checker import start_checker  # noqa: E402

PROGRAM = f"import sys; sys.path.insert(0, {SOURCE!r}); from remit.persons.checker import main; sys.exit(main())"
NOBODY = 65534


def say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


class Asking:
    """The line, held as control holds it; or raw, as one that was taken over would use it."""

    def __init__(self, line: socket.socket, pid: int) -> None:
        self.raw, self.pid = line.dup(), pid
        self.checking = Checking(line)
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.open: list[int] = []

    async def record(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        say(recorded=what, subject=subject, person=person, **facts)

    def do(self, told: dict[str, Any]) -> None:
        match told.pop("do"):
            case "check":
                self.tasks[told["key"]] = asyncio.ensure_future(self.check(**told))
            case "cancel":
                self.tasks[told["key"]].cancel()
            case "raw":
                self.say_raw(**told)

    async def check(
        self, key: int, uid: int, name: str, password: str, *, stays_open: bool = False, file: str = ""
    ) -> None:
        """As control does, with what a person typed; or a file for it."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            handed = os.open(file, os.O_RDONLY) if file else theirs.detach()
            theirs.close()
            asking = asyncio.ensure_future(self.checking.check(uid, name, handed))
            with contextlib.suppress(OSError):  # it reads no more of what is too long
                await asyncio.get_running_loop().sock_sendall(ours, password.encode("latin1"))
            if stays_open:
                self.open.append(os.dup(ours.fileno()))
            ours.close()
            checked = await asking
        say(key=key, ok=checked.ok, why=checked.why, wait=checked.wait)

    def say_raw(self, said: str = "", name: str = "", uid: int = 0, password: str = "", fds: int = 1) -> None:
        """One message as it is, and `fds` times what was typed."""
        message = said.encode("latin1") or Question(999, uid, name).to_bytes()
        handed = []
        for _ in range(fds):
            reading, writing = os.pipe()
            os.write(writing, password.encode())
            os.close(writing)
            handed.append(reading)
        socket.send_fds(self.raw, [message], handed)
        for one in handed:
            os.close(one)


async def main() -> None:
    loop = asyncio.get_running_loop()
    line, process = start_checker({"LANG": "C.UTF-8"}, ("/usr/bin/python3", "-B", "-I", "-c", PROGRAM))
    asking = Asking(line, process.pid)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    asking.checking.mind(asking.record, lambda: say(ended=True))
    say(pid=process.pid)
    done = asyncio.Event()

    def read() -> None:
        for one in sys.stdin:
            loop.call_soon_threadsafe(asking.do, json.loads(one))
        loop.call_soon_threadsafe(done.set)

    threading.Thread(target=read, daemon=True).start()
    await done.wait()
    asking.checking.close()
    asking.raw.close()
    process.wait(5)


asyncio.run(main())
