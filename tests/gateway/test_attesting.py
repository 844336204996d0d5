"""A caller on a kept connection: looked at anew when the file that it runs is another by now."""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remit.errors import AttestationError
from remit.gateway.attesting import as_it_is, attesting
from remit.identity.attestation import Arrivals
from tests.attestation.children import forked
from tests.attestation.conftest import Server
from tests.attestation.test_attested import SLEEP, wait_for_exec


@pytest.fixture(params=["loopback", "unix"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with ExitStack() as stack:
        if request.param == "unix":
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(tmp_path / "s"))
            listener.listen()
        else:
            listener = socket.create_server(("127.0.0.1", 0))
        yield Server(listener, stack)


def met(accepted: socket.socket) -> Any:
    unix = accepted.family == socket.AF_UNIX
    ends = {} if unix else {"remote": accepted.getpeername(), "local": accepted.getsockname()}
    return SimpleNamespace(kind="unix" if unix else "tcp", sock=accepted, **ends)


@pytest.fixture
def zone() -> Iterator[Any]:
    with ThreadPoolExecutor(2) as threads:
        yield SimpleNamespace(executor=threads, arrivals=Arrivals(threads))


def run_inheriting(tool: str, client: socket.socket) -> None:
    client.set_inheritable(True)
    os.execv(tool, [tool, "60"])


def wait_for(pid: int, exe: str) -> None:
    for _ in range(200_000):
        if os.readlink(f"/proc/{pid}/exe") == exe:
            return
        os.sched_yield()
    pytest.fail(f"process {pid} does not run `{exe}`")


def test_an_executable_replaced_between_two_requests_is_seen_at_the_second(
    server: Server, zone: Any, tmp_path: Path
) -> None:
    tool = str(shutil.copy(SLEEP, tmp_path / "tool"))
    with forked(lambda _: run_inheriting(tool, server.connect())) as child:
        connection = met(server.accept())
        wait_for(child.pid, tool)

        async def scene() -> None:
            first = attesting(connection, zone)
            before = (await as_it_is(first, connection, zone)).result().process
            assert await as_it_is(first, connection, zone) is first
            assert before is not None
            assert (before.exe, before.exe_deleted) == (tool, False)
            with pytest.raises(OSError, match="busy"):
                Path(tool).write_bytes(b"in place")  # the kernel lets nobody write to what runs
            Path(shutil.copy(shutil.which("cat") or "/bin/cat", tmp_path / "new")).replace(tool)
            second = await as_it_is(first, connection, zone)
            after = second.result().process
            assert after is not None
            assert (after.pid, after.exe, after.exe_deleted) == (before.pid, tool, True)
            assert await as_it_is(second, connection, zone) is second
            second.result().close()

        asyncio.run(scene())


def test_a_caller_that_became_another_program_stays_refused(server: Server, zone: Any) -> None:
    def connect_then_exec(line: socket.socket) -> None:
        client = server.connect()
        line.recv(100)
        run_inheriting(SLEEP, client)

    with forked(connect_then_exec) as child:
        connection = met(server.accept())

        async def scene() -> None:
            first = await as_it_is(attesting(connection, zone), connection, zone)
            child.say()
            wait_for_exec(child.pid)
            for _ in range(2):
                with pytest.raises(AttestationError, match="changed its executable"):
                    await as_it_is(first, connection, zone)
            first.result().close()

        asyncio.run(scene())
