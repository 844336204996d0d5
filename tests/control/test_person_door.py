"""The door where passwords are asked for takes whatever is passed to it, and goes on answering others."""

import asyncio
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from remit.control import aside, person_door
from remit.control.person_door import OF_ONE_UID, PersonDoor
from remit.control.roles import Reach, Role
from remit.control.terminal_proof import Asked
from remit.control.visitor import NotAdmittedError, Visitor
from remit.errors import UsageError
from remit.identity import PeerCredentials
from remit.inventory import Human
from tests.attestation import deaf

ADA = Human("ada", "person-1", (0,))


class AnyTerminal:
    """Obtains a proof at any terminal once it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer, self.hung_up = asyncio.Event(), False

    async def obtain(self, asked: Asked) -> None:
        self.asked.append(asked.proof_id)
        answer, hung_up = asyncio.ensure_future(self.answer.wait()), asyncio.ensure_future(asked.hung_up())
        await asyncio.wait({answer, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        self.hung_up = hung_up.done()
        for one in (answer, hung_up):
            one.cancel()
        if self.hung_up:
            raise UsageError("it hung up")


async def admit(peer: PeerCredentials) -> Visitor:
    with await asyncio.to_thread(peer.process.attest) as attested:
        assert attested.process is not None
        return Visitor(attested.process, ADA, "terminal", reach=Reach("ada", Role.ADMINISTRATOR, (0,)))


PERSONS = {0}
_SAYS_NOTHING = "import socket, sys; s = socket.socket(1); s.connect(sys.argv[1]); print(s.recv(4096).decode())"


async def meet(uid: int) -> None:
    if uid not in PERSONS:
        raise NotAdmittedError(f"uid {uid} acts for no person known here")


@asynccontextmanager
async def door(path: Path) -> AsyncIterator[AnyTerminal]:
    proof = AnyTerminal()
    close = await PersonDoor(meet, admit, proof).open(path, 0o600)  # type: ignore[arg-type]
    try:
        yield proof
    finally:
        await close()
        assert not path.exists()


async def say(path: Path, said: bytes, passed: list[int], *, keep: bool = True) -> dict[str, Any]:
    """What it answers. Without `keep` what is passed is its alone by the time it can look."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(str(path))
        socket.send_fds(line, [said], passed)
        for fd in () if keep else passed:
            os.close(fd)
        return json.loads(await asyncio.to_thread(line.makefile().readline))  # type: ignore[no-any-return]


def run(body: Callable[[Path, AnyTerminal], Coroutine[Any, Any, None]], place: Path) -> None:
    async def inside() -> None:
        path = place / "person.sock"
        async with door(path) as proof:
            await body(path, proof)

    asyncio.run(inside())


def test_a_terminal_and_an_id_are_handed_on(tmp_path: Path) -> None:
    async def body(path: Path, proof: AnyTerminal) -> None:
        master, slave = pty.openpty()
        proof.answer.set()
        assert await say(path, b'{"proof": "abc"}\n', [slave]) == {"ok": True}
        assert proof.asked == ["abc"]
        os.close(master)
        os.close(slave)

    run(body, tmp_path)


@pytest.mark.parametrize("said", [b"abc", b"{}", b'{"proof": 7}', b'{"proof": "abc", "more": 1}', b"x" * 4096])
def test_what_is_no_question_is_refused(tmp_path: Path, said: bytes) -> None:
    async def body(path: Path, proof: AnyTerminal) -> None:
        answer = await say(path, said, [0])
        assert "a proof's id is expected" in answer["error"]["message"]
        assert proof.asked == []

    run(body, tmp_path)


def test_what_is_no_terminal_is_refused(tmp_path: Path) -> None:
    async def body(path: Path, proof: AnyTerminal) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        for passed in ([], [null]):
            answer = await say(path, b'{"proof": "abc"}\n', passed)
            assert answer["error"]["message"] == "what was passed is no terminal"
        os.close(null)
        assert proof.asked == []

    run(body, tmp_path)


def test_who_hangs_up_is_waited_for_no_longer(tmp_path: Path) -> None:
    async def body(path: Path, proof: AnyTerminal) -> None:
        master, slave = pty.openpty()
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(path))
            socket.send_fds(line, [b'{"proof": "abc"}\n'], [slave])
            while not proof.asked:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            while not proof.hung_up:
                await asyncio.sleep(0.01)
        os.close(master)
        os.close(slave)

    run(body, tmp_path)


def test_one_account_has_few_places_and_says_so(tmp_path: Path) -> None:
    async def body(path: Path, proof: AnyTerminal) -> None:
        master, slave = pty.openpty()
        waiting = [asyncio.create_task(say(path, b'{"proof": "abc"}\n', [slave])) for _ in range(OF_ONE_UID)]
        async with asyncio.timeout(20):
            while len(proof.asked) < OF_ONE_UID:
                await asyncio.sleep(0.01)
        answer = await say(path, b'{"proof": "abc"}\n', [slave])
        assert "too many are asked" in answer["error"]["message"]
        proof.answer.set()
        assert await asyncio.gather(*waiting) == [{"ok": True}] * OF_ONE_UID
        async with asyncio.timeout(10):
            while await say(path, b'{"proof": "abc"}\n', [slave]) != {"ok": True}:
                await asyncio.sleep(0.01)
        os.close(master)
        os.close(slave)

    run(body, tmp_path)


def test_what_does_not_let_itself_be_closed_holds_up_nobody_else(tmp_path: Path) -> None:
    """A socket that lingers: closing its last descriptor waits for a peer that never reads (socket(7), SO_LINGER)."""

    async def body(path: Path, proof: AnyTerminal) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            for _ in range(OF_ONE_UID):
                await say(path, b'{"proof": "abc"}\n', [_lingering(server)], keep=False)
            loop = asyncio.get_running_loop()
            before = loop.time()
            answer = await say(path, b'{"proof": "abc"}\n', [])
            assert loop.time() - before < person_door.SAY_SECONDS
            assert "too many" in answer["error"]["message"], "each holds its place until it is closed"

    run(body, tmp_path)


@pytest.mark.skipif(os.getuid() != 0 or not Path("/dev/fuse").exists(), reason="takes root and FUSE")
def test_what_never_says_what_it_is_holds_its_place_and_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system whose daemon answers that a file was closed, and nothing else: each look at it keeps a thread."""
    monkeypatch.setattr(aside, "SECONDS", 0.5)
    (tmp_path / "deaf").mkdir()

    async def body(path: Path, proof: AnyTerminal) -> None:
        with subprocess.Popen(
            [sys.executable, deaf.__file__, tmp_path / "deaf", "file", "3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as held:
            assert held.stdout is not None
            file = f"/proc/{int(held.stdout.readline())}/root{tmp_path}/deaf/file"
            try:
                for _ in range(OF_ONE_UID):
                    answer = await say(path, b'{"proof": "abc"}\n', [os.open(file, os.O_RDONLY)], keep=False)
                    assert answer["error"]["message"] == "what was passed does not answer"
                answer = await say(path, b'{"proof": "abc"}\n', [])
                assert "too many" in answer["error"]["message"]
            finally:
                held.kill()

    run(body, tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="takes root, to be another uid")
def test_uids_that_are_nobodys_take_no_place() -> None:
    """An account may have tens of thousands of them (subuid(5))."""

    async def body(path: Path, _proof: AnyTerminal) -> None:
        path.chmod(0o666)
        with subprocess.Popen(
            ["/usr/bin/python3", "-c", _SAYS_NOTHING, path], user=165536, stdout=subprocess.PIPE
        ) as asked:
            assert asked.stdout is not None
            assert b"acts for no person" in await asyncio.to_thread(asked.stdout.readline)

    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        run(body, Path(place))


def _lingering(server: socket.socket) -> int:
    """One that has more to send than the other end ever reads."""
    client = socket.create_connection(server.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 6))
    client.setblocking(False)
    while True:
        try:
            client.send(bytes(1 << 20))
        except BlockingIOError:
            return client.detach()
