"""Discovery against servers that really listen: what is found, what is left alone, what misbehaviour costs."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from remit.errors import UpstreamError
from remit.identity.attestation.sock_diag import Listener
from remit.inventory import DIGEST_HASHING, Answer, Discovered, Exclusion, Model, discover
from remit.inventory.discovery import MANY_PROGRAMS, ON_THE_LAN
from remit.inventory.listening import Candidate, doors
from remit.inventory.ports import MODEL_SERVER_PORTS, NOT_HTTP
from remit.inventory.probe import LISTENER_SECONDS, MAX_REPLY_BYTES
from remit.inventory.weights import REPLACED, UNREAD
from tests.inventory.asking import FakeServer, TestProbe, has_ipv6
from tests.inventory.test_fingerprints import LM_STUDIO, OLLAMA, OTHER, VLLM, say

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


@pytest.mark.parametrize(
    ("answers", "server"), [(OLLAMA, "ollama"), (VLLM, "vllm"), (LM_STUDIO, "lmstudio"), (OTHER, "openai")]
)
def test_a_server_is_found_with_its_process(answers: dict[str, Answer], server: str) -> None:
    async def main() -> None:
        async with FakeServer(answers).listening("127.0.0.1") as port:
            (found,) = (await discover(TestProbe(f"http://127.0.0.1:{port}"))).found
        assert (found.server, found.upstream, found.reach) == (server, f"http://127.0.0.1:{port}", "loopback")
        assert (found.pids, found.uid) == ((os.getpid(),), os.geteuid())
        assert found.exe == str(Path(sys.executable).resolve())
        assert found.exe_sha256 is not None
        assert found.models
        assert found.notes == ((UNREAD,) if found.server == "ollama" else ())
        assert found.to_dict()["pids"] == [os.getpid()]

    run(main())


def test_one_on_a_unix_socket_is_found_and_its_reach_is_told_by_its_permissions(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer(OTHER).listening_unix(tmp_path / "m.sock") as address:
            (found,) = (await discover(TestProbe(address))).found
            assert (found.upstream, found.reach, found.pids) == (address, "private", (os.getpid(),))

    run(main())


def test_one_that_answers_on_the_lan_says_so() -> None:
    async def main() -> None:
        async with FakeServer(OLLAMA).listening("0.0.0.0") as port:
            (found,) = (await discover(TestProbe(f"http://127.0.0.1:{port}"))).found
            assert (found.reach, found.notes) == ("all", (ON_THE_LAN, UNREAD))

    run(main())


@needs_ipv6
def test_one_that_listens_many_times_is_one_find(tmp_path: Path) -> None:
    async def main() -> None:
        server = FakeServer(OLLAMA)
        async with (
            server.listening("127.0.0.1", "::1") as port,
            server.listening_unix(tmp_path / "o.sock") as private,
        ):
            addresses = [f"http://127.0.0.1:{port}", f"http://[::1]:{port}"]
            (found,) = (await discover(TestProbe(private, *addresses))).found
            assert (found.upstream, found.reach) == (private, "loopback")
            assert found.notes == (UNREAD, *(f"also answers at {address}" for address in addresses))

    run(main())


def test_the_one_model_of_a_process_with_one_model_file_has_that_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer(OTHER).listening("127.0.0.1") as port:
            (found,) = (await discover(TestProbe(f"http://127.0.0.1:{port}"))).found
        ((name, file),) = found.weights
        assert (name, file.path, file.current) == ("m", str(weights), True)
        assert found.models == (Model("m", DIGEST_HASHING, str(weights)),)

    weights = tmp_path / "model.gguf"
    weights.write_bytes(b"GGUF" + bytes(100))
    with weights.open("rb"):
        run(main())


def test_weights_replaced_on_disk_have_no_digest(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeServer(OTHER).listening("127.0.0.1") as port:
            (found,) = (await discover(TestProbe(f"http://127.0.0.1:{port}"))).found
        assert (found.models, found.weights, found.notes) == ((Model("m"),), (), (REPLACED,))

    weights = tmp_path / "model.gguf"
    weights.write_bytes(b"GGUF" + bytes(100))
    with weights.open("rb"):
        weights.unlink()
        run(main())


def test_two_models_in_one_process_are_two_finds() -> None:
    async def main() -> None:
        other = {**OTHER, "/v1/models": say({"object": "list", "data": [{"id": "another"}]})}
        async with FakeServer(OTHER).listening("127.0.0.1") as one, FakeServer(other).listening("127.0.0.1") as two:
            seen = await discover(TestProbe(f"http://127.0.0.1:{one}", f"http://127.0.0.1:{two}"))
            assert {found.models for found in seen.found} == {(Model("m"),), (Model("another"),)}

    run(main())


def test_what_is_remits_own_is_not_asked(tmp_path: Path) -> None:
    async def main() -> None:
        server = FakeServer(OTHER)
        async with server.listening("127.0.0.1") as port, server.listening_unix(tmp_path / "m.sock") as private:
            probe = TestProbe(f"http://127.0.0.1:{port}", private)
            own = Exclusion(ports=frozenset({port}), paths=frozenset({private.removeprefix("unix:")}))
            assert await discover(probe, exclude=own) == Discovered((), ())
            assert await discover(probe, exclude=Exclusion(pids=frozenset({os.getpid()}))) == Discovered((), ())
            assert probe.asked == []

    run(main())


def test_a_process_that_also_holds_the_socket_is_named() -> None:
    async def main() -> None:
        async with FakeServer(OTHER).listening("127.0.0.1") as port:
            descriptor = next(int(name) for name in os.listdir("/proc/self/fd") if _port_of(int(name)) == port)
            heir = await asyncio.create_subprocess_exec("sleep", "20", pass_fds=(descriptor,))
            try:
                (found,) = (await discover(TestProbe(f"http://127.0.0.1:{port}"))).found
                assert found.pids == (os.getpid(), heir.pid)
                assert MANY_PROGRAMS in found.notes
            finally:
                heir.kill()
                await heir.wait()

    run(main())


def _port_of(descriptor: int) -> int | None:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as one:
            return int(one.getsockname()[1]) if one.family == socket.AF_INET else None
    except (OSError, ValueError):
        return None


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _dripping(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await asyncio.sleep(0.05)
        await writer.drain()


async def _endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nserver: llama.cpp\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65536)
        await writer.drain()


async def _hanging_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01SSH-2.0-what\r\n\r\n")


async def _stopping_after_the_root(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET / "):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\nOllama is running")
    else:
        await reader.read()


@asynccontextmanager
async def _behaving(behaviour: Behaviour, port: int = 0) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        yield server.sockets[0].getsockname()[1]


def test_thirty_hostile_servers_cost_no_more_than_one() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            ports = [
                await stack.enter_async_context(_behaving(behaviour))
                for behaviour in (_silent, _dripping, _endless, _hanging_up)
                for _ in range(8)
            ]
            honest = await stack.enter_async_context(FakeServer(OTHER).listening("127.0.0.1"))
            addresses = [f"http://127.0.0.1:{port}" for port in (*ports, honest)]
            began = asyncio.get_running_loop().time()
            seen = await discover(TestProbe(*addresses))
            took = asyncio.get_running_loop().time() - began
        assert [found.upstream for found in seen.found] == [addresses[-1]]
        assert took < 3 * LISTENER_SECONDS  # one after the other: 24 × 1.5 s

    run(main())


def test_what_a_server_said_before_it_fell_silent_counts() -> None:
    async def main() -> None:
        async with _behaving(_stopping_after_the_root) as port:
            (found,) = (await discover(TestProbe(f"http://127.0.0.1:{port}"))).found
            assert (found.server, found.version, found.models) == ("ollama", "", ())

    run(main())


def test_silence_where_a_model_server_is_to_be_expected_is_reported_as_unknown() -> None:
    async def main() -> None:
        for port, name in MODEL_SERVER_PORTS.items():
            try:
                async with _behaving(_silent, port):
                    seen = await discover(TestProbe(f"http://127.0.0.1:{port}"))
            except OSError:
                continue  # in use on this machine
            assert seen.found == ()
            assert seen.unread == (f"http://127.0.0.1:{port} did not answer within 1.5 s; it is the port of {name}",)
            return
        pytest.skip("every well-known port is in use here")

    run(main())


def test_a_probe_that_fails_or_brings_too_much_is_no_answer() -> None:
    async def main() -> None:
        async with FakeServer(OTHER).listening("127.0.0.1") as port:

            async def failing(address: str, _target: str) -> Answer | None:
                raise UpstreamError(f"{address} broke off")

            async def flooding(address: str, _target: str) -> Answer | None:
                own = address == f"http://127.0.0.1:{port}"
                return Answer(200, {"server": "llama.cpp"}, b"x" * (MAX_REPLY_BYTES + 1)) if own else None

            assert (await discover(failing)).found == ()
            assert (await discover(flooding)).found == ()

    run(main())


def _listener(address: str, port: int, inode: int) -> Listener:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return Listener(family, address, port, inode, 1000)


def test_a_listener_whose_holder_is_hidden_is_asked_only_at_a_well_known_port() -> None:
    found = doors([_listener("127.0.0.1", 9999, 1), _listener("127.0.0.1", 11434, 2)], {})
    assert found == [Candidate("http://127.0.0.1:11434", 11434, "loopback", (), 1000)]


def test_an_answer_is_put_down_to_the_listener_that_gave_it() -> None:
    """127.0.0.1 goes to the listener of exactly that address, even when another has all addresses of the port."""
    anywhere, here = _listener("0.0.0.0", 8080, 1), _listener("127.0.0.1", 8080, 2)
    (found,) = doors([anywhere, here], {1: (10,), 2: (20,)})
    assert (found.pids, found.reach) == ((20,), "loopback")
    assert found.notes == ("another process (pid 10) listens on the same port at other addresses",)
    (same,) = doors([anywhere, here], {1: (10,), 2: (10,)})
    assert (same.pids, same.reach, same.notes) == ((10,), "all", ())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("::", ("http://[::1]:8080", "all")),
        ("::ffff:127.0.0.1", ("http://127.0.0.1:8080", "loopback")),
        ("192.168.1.5", ("http://192.168.1.5:8080", "lan")),
        ("127.0.0.2", ("http://127.0.0.2:8080", "loopback")),
    ],
)
def test_the_reach_of_an_address(address: str, expected: tuple[str, str]) -> None:
    (found,) = doors([_listener(address, 8080, 1)], {1: (10,)})
    assert (found.address, found.reach) == expected


def test_no_port_is_both_asked_and_not() -> None:
    assert not NOT_HTTP.keys() & MODEL_SERVER_PORTS.keys()
