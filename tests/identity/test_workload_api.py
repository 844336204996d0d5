"""The Workload API, as its callers see it: the stock client, and hand-made calls that no good client makes."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from grpclib import GRPCError, Status
from grpclib.client import Channel, Stream, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.exceptions import StreamTerminatedError
from h2.exceptions import StreamClosedError

from remit.errors import AttestationError, StateError
from remit.identity import (
    MAX_X509_TTL,
    Authority,
    PeerCredentials,
    SpiffeId,
    WorkloadApi,
    unverified_x509_id,
    verify_jwt,
    verify_x509,
)  # fmt: skip
from remit.identity.authority import AUTHORITY_TTL
from remit.identity.grpc_server import MAX_REQUEST_BYTES
from remit.identity.spiffe_proto import message_type
from tests.fakes.identities import FakeClock, FakeIdentities, FakeIssuances
from tests.identity.forge import NOW

READER, WRITER = "spiffe://example.org/agent/reader", "spiffe://example.org/agent/writer"
HEADER = {"workload.spiffe.io": "true"}
ME = PeerCredentials(os.getpid(), os.getuid(), os.getgid())
ROOT = Path(__file__).parents[2]
LOOPS: list[Callable[[Coroutine[Any, Any, None]], None]] = [asyncio.run, uvloop.run]

STREAMS = {"FetchX509SVID": "X509SVID", "FetchX509Bundles": "X509Bundles", "FetchJWTBundles": "JWTBundles"}
CALLS: dict[str, dict[str, Any]] = {
    "FetchX509SVID": {},
    "FetchX509Bundles": {},
    "FetchJWTBundles": {},
    "FetchJWTSVID": {"audience": ["gateway"]},
    "ValidateJWTSVID": {"audience": "gateway", "svid": "a.b.c"},
}


@dataclass
class World:
    """A Workload API, those that it asks, and a channel to it."""

    path: Path
    authority: Authority = field(default_factory=lambda: Authority.create("example.org", NOW))
    identities: FakeIdentities = field(default_factory=lambda: FakeIdentities(READER))
    issuances: FakeIssuances = field(default_factory=FakeIssuances)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))

    @contextlib.asynccontextmanager
    async def served(self, recheck: float = 0.01) -> AsyncIterator[WorkloadApi]:
        api = WorkloadApi(self.authority, self.identities, self.issuances, self.clock, recheck=recheck)
        await api.serve(self.path)
        try:
            yield api
        finally:
            await api.close()

    @contextlib.asynccontextmanager
    async def stream(self, name: str, metadata: dict[str, str] | None = None) -> AsyncIterator[Stream[Any, Any]]:
        """An open server stream, its request sent."""
        kind = STREAMS[name]
        async with Channel(path=str(self.path)) as channel:
            method = UnaryStreamMethod(
                channel, f"/SpiffeWorkloadAPI/{name}", message_type(f"{kind}Request"), message_type(f"{kind}Response")
            )
            async with method.open(metadata=metadata or HEADER) as stream:
                await stream.send_message(message_type(f"{kind}Request")(), end=True)
                yield stream
                with contextlib.suppress(StreamClosedError):  # the server ended it first
                    await stream.cancel()

    async def ask(self, name: str, metadata: Any = HEADER, **request: Any) -> Any:
        """The first answer to one call."""
        kind = STREAMS.get(name) or name.removeprefix("Fetch")
        wanted, answer = message_type(f"{kind}Request"), message_type(f"{kind}Response")
        async with Channel(path=str(self.path)) as channel:
            if name not in STREAMS:
                unary = UnaryUnaryMethod(channel, f"/SpiffeWorkloadAPI/{name}", wanted, answer)
                return await unary(wanted(**request), metadata=metadata, timeout=20)
            streaming = UnaryStreamMethod(channel, f"/SpiffeWorkloadAPI/{name}", wanted, answer)
            async with streaming.open(metadata=metadata, timeout=20) as stream:
                await stream.send_message(wanted(**request), end=True)
                first = await stream.recv_message()
                if first is None:
                    await stream.recv_trailing_metadata()
                await stream.cancel()
                return first

    async def refusal(self, name: str, metadata: Any = HEADER, **request: Any) -> Status:
        with pytest.raises(GRPCError) as caught:
            await self.ask(name, metadata, **{**CALLS[name], **request})
        return Status(caught.value.status)


async def send_raw(channel: Channel, name: str, raw: bytes) -> None:
    """One call whose body is `raw`, and its end."""
    any_type = message_type("JWTSVIDRequest")
    method = UnaryUnaryMethod(channel, f"/SpiffeWorkloadAPI/{name}", any_type, any_type)
    async with method.open(metadata=HEADER, timeout=20) as stream:
        await stream.send_request()
        await stream._stream.send_data(raw, end_stream=True)
        await stream.recv_message()


async def answer(stream: Stream[Any, Any]) -> Any:
    """The next message of a stream, which must come."""
    message = await asyncio.wait_for(stream.recv_message(), 20)
    assert message is not None
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api.sock"


@pytest.mark.parametrize("run", LOOPS)
def test_the_stock_client_gets_all_it_asks_for(path: Path, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def scene() -> None:
        # The stock client judges expiry by its own clock: this one world has the real one.
        now = time.time()
        world = World(path, Authority.create("example.org", now), clock=FakeClock(now))
        async with world.served():
            client = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.identity.spiffe_client", str(path), cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            printed, _ = await asyncio.wait_for(client.communicate(), 60)
        assert client.returncode == 0
        got = json.loads(printed)
        assert (got["x509"], got["context"], got["jwt"], got["validated"]) == (READER,) * 4
        assert got["key_fits"]
        authorities = [bytes.fromhex(der) for der in got["authorities"]]
        assert tuple(authorities) == world.authority.bundle().x509_authorities
        chain = [bytes.fromhex(der) for der in got["chain"]]
        assert verify_x509(chain, authorities, now) == SpiffeId.parse(READER)
        assert {(what, peer.pid) for what, _, peer, _ in world.issuances.written} == {
            ("x509-svid", client.pid), ("jwt-svid", client.pid),
        }  # fmt: skip

    run(scene())


@pytest.mark.parametrize("run", LOOPS)
def test_the_caller_is_known_from_the_kernel(path: Path, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served():
            await world.ask("FetchX509SVID")
        assert set(world.identities.asked) == {ME}
        assert world.issuances.written == [("x509-svid", READER, ME, NOW + MAX_X509_TTL)]

    run(scene())


def test_every_identity_of_the_caller_gets_its_svid(path: Path) -> None:
    async def scene() -> None:
        world = World(path, identities=FakeIdentities(READER, WRITER))
        async with world.served():
            x509_reply, jwt_reply = await world.ask("FetchX509SVID"), await world.ask("FetchJWTSVID", audience=["a"])
        assert [svid.spiffe_id for svid in x509_reply.svids] == [READER, WRITER]
        assert [svid.spiffe_id for svid in jwt_reply.svids] == [READER, WRITER]
        for svid in x509_reply.svids:
            assert str(verify_x509([svid.x509_svid], [svid.bundle], NOW)) == svid.spiffe_id
        assert [(what, name) for what, name, _, _ in world.issuances.written] == [
            ("x509-svid", READER), ("x509-svid", WRITER), ("jwt-svid", READER), ("jwt-svid", WRITER),
        ]  # fmt: skip

    asyncio.run(scene())


@pytest.mark.parametrize("name", CALLS)
def test_a_call_without_the_security_header_is_refused(path: Path, name: str) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served():
            for metadata in (
                None, {"workload.spiffe.io": "false"}, {"workload.spiffe.io": "True"}, {"x": "true"},
                [("workload.spiffe.io", "true"), ("workload.spiffe.io", "true")],
            ):  # fmt: skip
                assert await world.refusal(name, metadata) is Status.INVALID_ARGUMENT
        assert world.identities.asked == []
        assert world.issuances.written == []

    asyncio.run(scene())


@pytest.mark.parametrize("name", CALLS)
def test_a_caller_without_an_identity_gets_nothing(path: Path, name: str) -> None:
    async def scene() -> None:
        world = World(path, identities=FakeIdentities())
        async with world.served():
            assert await world.refusal(name) is Status.PERMISSION_DENIED
            world.identities.ids = (SpiffeId.parse(READER),)
            world.identities.error = AttestationError("two holders")
            assert await world.refusal(name) is Status.PERMISSION_DENIED
        assert world.issuances.written == []

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["FetchX509SVID", "FetchJWTSVID"])
def test_no_svid_is_sent_that_can_not_be_written_down(path: Path, name: str) -> None:
    async def scene() -> None:
        world = World(path)
        world.issuances.full = True
        async with world.served():
            assert await world.refusal(name) is Status.UNAVAILABLE

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["FetchX509SVID", "FetchJWTSVID"])
def test_nothing_is_sent_before_it_is_written(path: Path, name: str) -> None:
    async def scene() -> None:
        world = World(path)
        world.issuances.open.clear()
        async with world.served():
            call = asyncio.create_task(world.ask(name, **CALLS[name]))
            while not world.identities.asked:
                await asyncio.sleep(0.001)
            done, _ = await asyncio.wait([call], timeout=0.2)
            assert not done
            world.issuances.open.set()
            assert (await call).svids[0].spiffe_id == READER

    asyncio.run(scene())


def test_a_stream_brings_a_new_svid_at_half_of_its_life(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served(), world.stream("FetchX509SVID") as stream:
            first = await answer(stream)
            world.clock.now += MAX_X509_TTL / 2 - 1
            while len(world.identities.asked) < 5:
                await asyncio.sleep(0.01)
            assert len(world.issuances.written) == 1
            world.clock.now += 1
            second = await answer(stream)
        assert first.svids[0].x509_svid_key != second.svids[0].x509_svid_key
        leaves = [x509.load_der_x509_certificate(reply.svids[0].x509_svid) for reply in (first, second)]
        assert leaves[1].not_valid_after_utc > leaves[0].not_valid_after_utc

    asyncio.run(scene())


def test_svids_are_renewed_sooner_when_the_authority_ends(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        world.clock.now += AUTHORITY_TTL - 100
        async with world.served(), world.stream("FetchX509SVID") as stream:
            await answer(stream)
            world.clock.now += 50
            await answer(stream)
            world.clock.now += 50
            assert await asyncio.wait_for(stream.recv_message(), 20) is None
            with pytest.raises(GRPCError) as caught:
                await stream.recv_trailing_metadata()
            assert caught.value.status is Status.UNAVAILABLE

    asyncio.run(scene())


def test_an_identity_of_another_trust_domain_is_nobodys_to_give(path: Path) -> None:
    async def scene() -> None:
        world = World(path, identities=FakeIdentities("spiffe://elsewhere.org/agent"))
        async with world.served():
            assert await world.refusal("FetchX509SVID") is Status.UNAVAILABLE
        assert world.issuances.written == []

    asyncio.run(scene())


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_hears_of_a_new_authority(path: Path, name: str) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served(recheck=60) as api, world.stream(name) as stream:
            first = await stream.recv_message()
            api.replace(Authority.create("example.org", NOW))
            second = await answer(stream)
        assert first != second

    asyncio.run(scene())


def test_a_stream_follows_its_callers_identities_and_ends_with_them(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served(), world.stream("FetchX509SVID") as stream:
            await stream.recv_message()
            world.identities.ids = (SpiffeId.parse(WRITER),)
            changed = await answer(stream)
            assert [svid.spiffe_id for svid in changed.svids] == [WRITER]
            world.identities.ids = ()
            assert await asyncio.wait_for(stream.recv_message(), 20) is None
            with pytest.raises(GRPCError) as caught:
                await stream.recv_trailing_metadata()
            assert caught.value.status is Status.PERMISSION_DENIED

    asyncio.run(scene())


def test_a_token_needs_an_audience_and_an_identity_of_the_callers_own(path: Path) -> None:
    async def scene() -> None:
        world = World(path, identities=FakeIdentities(READER, WRITER))
        async with world.served():
            assert await world.refusal("FetchJWTSVID", audience=[]) is Status.INVALID_ARGUMENT
            assert await world.refusal("FetchJWTSVID", audience=["a"] * 17) is Status.INVALID_ARGUMENT
            other = "spiffe://example.org/agent/other"
            assert await world.refusal("FetchJWTSVID", spiffe_id=other) is Status.PERMISSION_DENIED
            assert await world.refusal("FetchJWTSVID", spiffe_id="not an ID") is Status.PERMISSION_DENIED
            assert world.issuances.written == []
            reply = await world.ask("FetchJWTSVID", audience=["gateway"], spiffe_id=WRITER)
        assert [svid.spiffe_id for svid in reply.svids] == [WRITER]
        proven = verify_jwt(reply.svids[0].svid, world.authority.bundle().jwks(), "gateway", NOW)
        assert str(proven.spiffe_id) == WRITER

    asyncio.run(scene())


def test_a_token_is_validated_for_its_own_audience_only(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served():
            token = (await world.ask("FetchJWTSVID", audience=["gateway"])).svids[0].svid
            validated = await world.ask("ValidateJWTSVID", audience="gateway", svid=token)
            assert (validated.spiffe_id, validated.claims["sub"]) == (READER, READER)
            assert list(validated.claims["aud"]) == ["gateway"]
            for request in ({"audience": "other", "svid": token}, {"audience": "gateway", "svid": token[:-2]}):
                assert await world.refusal("ValidateJWTSVID", **request) is Status.INVALID_ARGUMENT
            for request in ({"audience": "", "svid": token}, {"audience": "gateway", "svid": ""}):
                assert await world.refusal("ValidateJWTSVID", **request) is Status.INVALID_ARGUMENT
            world.clock.now += 3600
            assert await world.refusal("ValidateJWTSVID", audience="gateway", svid=token) is Status.INVALID_ARGUMENT

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("name", "raw", "status"),
    [
        ("FetchJWTSVID", b"\0" + (MAX_REQUEST_BYTES + 1).to_bytes(4, "big"), Status.RESOURCE_EXHAUSTED),
        ("FetchJWTSVID", b"\0\xff\xff\xff\xff", Status.RESOURCE_EXHAUSTED),
        ("FetchJWTSVID", b"\1\0\0\0\0", Status.RESOURCE_EXHAUSTED),
        ("FetchJWTSVID", b"\0\0\0\0\3\xff\xff\xff", Status.INVALID_ARGUMENT),
        ("FetchJWTSVID", b"\0\0\0\0\4ab", Status.INVALID_ARGUMENT),
        ("FetchJWTSVID", b"\0\0", Status.INVALID_ARGUMENT),
        ("FetchJWTSVID", b"", Status.INVALID_ARGUMENT),
        ("FetchX509SVID", b"\0\0\0\0\3\xff\xff\xff", Status.INVALID_ARGUMENT),
    ],
)
def test_a_request_that_is_none_is_refused(path: Path, name: str, raw: bytes, status: Status) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served(), Channel(path=str(path)) as channel:
            with pytest.raises(GRPCError) as caught:
                await send_raw(channel, name, raw)
            assert caught.value.status is status
        assert world.issuances.written == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,  # a frame of 16 MiB that never comes
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\4\x08\0\0\0\0\0" + b"\0" * 4,  # a window update by nothing
    ],
)
def test_bytes_that_are_no_call_hurt_nobody_else(path: Path, raw: bytes) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served():
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.write(raw)
            await writer.drain()
            assert (await world.ask("FetchX509SVID")).svids[0].spiffe_id == READER
            writer.close()
            await writer.wait_closed()

    asyncio.run(scene())


def test_a_caller_that_hangs_up_is_forgotten(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served():
            async with world.stream("FetchX509SVID") as stream:
                await stream.recv_message()
            await asyncio.sleep(0.05)
            asked = len(world.identities.asked)
            await asyncio.sleep(0.1)
            assert len(world.identities.asked) == asked

    asyncio.run(scene())


@pytest.mark.parametrize("run", LOOPS)
def test_closing_ends_open_streams_and_takes_the_socket_away(
    path: Path, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    async def scene() -> None:
        world = World(path)
        api = WorkloadApi(world.authority, world.identities, world.issuances, world.clock)
        await api.serve(path)
        with pytest.raises(StateError, match="already listens"):
            await api.serve(path)
        with contextlib.suppress(StreamTerminatedError, GRPCError):
            async with world.stream("FetchX509SVID") as stream:
                await stream.recv_message()
                await asyncio.wait_for(api.close(), 20)
                assert await asyncio.wait_for(stream.recv_message(), 20) is None
        assert not path.exists()
        await api.close()
        await api.serve(path)
        await api.close()

    run(scene())


def test_many_callers_at_once_are_all_served(path: Path) -> None:
    async def scene() -> None:
        world = World(path)
        async with world.served():
            replies = await asyncio.gather(*(world.ask("FetchX509SVID") for _ in range(40)))
        keys = {reply.svids[0].x509_svid_key for reply in replies}
        assert len(keys) == len(world.issuances.written) == 40
        assert {str(unverified_x509_id([reply.svids[0].x509_svid])) for reply in replies} == {READER}

    asyncio.run(scene())
