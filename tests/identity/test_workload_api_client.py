"""The client of an outside Workload API: against our own server, and against answers that no sound one gives."""

import asyncio
import contextlib
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from grpclib import Status
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import IdentityError
from remit.identity import Authority, SpiffeId, WorkloadApi, verify_jwt
from remit.identity.der import split_certificates
from remit.identity.grpc_client import MAX_REPLY_BYTES, NoAnswerError, NotPermittedError
from remit.identity.rotation import PACE, turn
from remit.identity.spiffe_proto import message_type
from remit.identity.workload_api_client import WorkloadApiClient
from remit.identity.workload_api_replies import (
    MAX_BUNDLES,
    MAX_SVIDS,
    given_authorities,
    given_jwt_keys,
    given_jwt_svids,
    given_svids,
)
from tests.fakes.identities import FakeClock, FakeIdentities, FakeIssuances
from tests.fakes.outside_workload_api import FakeWorkloadApi, key_der, row_of, svids_reply
from tests.identity.forge import NOW, certificate, moment

READER = "spiffe://example.org/agent/reader"
OURS, THEIRS = Authority.create("example.org", NOW), Authority.create("other.example", NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api.sock"


@contextlib.asynccontextmanager
async def client_of(path: Path) -> AsyncIterator[WorkloadApiClient]:
    client = WorkloadApiClient(path, FakeClock(NOW))
    try:
        async with asyncio.timeout(20):
            yield client
    finally:
        client.close()


@contextlib.asynccontextmanager
async def a_fake(path: Path) -> AsyncIterator[FakeWorkloadApi]:
    fake = FakeWorkloadApi(path)
    await fake.start()
    fake.speak_for(OURS, "agent/reader", NOW)
    try:
        yield fake
    finally:
        await fake.stop()


async def first(stream: Any) -> Any:
    async with contextlib.aclosing(stream):
        return await anext(stream)


def test_it_gets_all_from_our_own_workload_api_and_each_step_of_a_rotation(path: Path) -> None:
    async def scene() -> None:
        api = WorkloadApi(OURS, FakeIdentities(READER), FakeIssuances(), FakeClock(NOW), recheck=0.01)
        await api.serve(path)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(api.close)
            client = await stack.enter_async_context(client_of(path))
            svids, authorities = client.x509_svids(), client.x509_authorities("example.org")
            [svid] = await anext(svids)
            assert (str(svid.spiffe_id), svid.expires) == (READER, NOW + 3600)
            assert await anext(authorities) == OURS.bundle().x509_authorities
            keys = {"keys": list(await first(client.jwt_keys("example.org")))}
            token = await client.jwt_svid(("gateway",), keys, "example.org")
            assert verify_jwt(token.token.reveal(), OURS.bundle().jwks(), "gateway", NOW).spiffe_id == svid.spiffe_id
            done = turn(OURS, NOW, PACE, asked=True)
            assert done is not None
            api.replace(done[1])
            assert len(await anext(authorities)) == 2
            [again] = await anext(svids)
            assert again.chain != svid.chain
            await svids.aclose()
            await authorities.aclose()

    asyncio.run(scene())


def test_what_it_takes_can_be_put_into_tls(path: Path, tmp_path: Path) -> None:
    async def scene() -> None:
        async with a_fake(path), client_of(path) as client:
            [svid] = await first(client.x509_svids())
        assert "PRIVATE" not in repr(svid)
        (tmp_path / "svid.pem").write_text(svid.pem.reveal())
        ssl.create_default_context().load_cert_chain(tmp_path / "svid.pem")

    asyncio.run(scene())


@dataclass(frozen=True)
class Place:
    """Something that is no sound Workload API, at `path`."""

    path: Path

    @contextlib.asynccontextmanager
    async def answering(self, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Any:
        server = await asyncio.start_unix_server(talk, self.path)
        async with server:
            yield


async def told(path: Path) -> str:
    async with client_of(path) as client:
        with pytest.raises(NoAnswerError) as caught:
            await first(client.x509_svids())
    return str(caught.value)


def test_a_socket_that_is_not_there_or_not_listened_on_is_named(path: Path) -> None:
    async def scene() -> None:
        assert await told(path) == f"there is no socket at `{path}`"
        async with Place(path).answering(_hang_up):
            pass
        assert await told(path) == f"nobody listens at `{path}`"
        path.unlink()
        path.write_text("")
        assert await told(path) == f"nobody listens at `{path}`"

    asyncio.run(scene())


async def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _speak_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("talk", [_hang_up, _speak_http1])
def test_what_speaks_something_else_is_no_answer(path: Path, talk: Any) -> None:
    async def scene() -> None:
        async with Place(path).answering(talk):
            assert str(path) in await told(path)

    asyncio.run(scene())


def test_who_is_not_registered_is_told_apart_from_who_gets_no_answer(path: Path) -> None:
    async def scene() -> None:
        async with a_fake(path) as fake, client_of(path) as client:
            fake.status = Status.PERMISSION_DENIED
            with pytest.raises(NotPermittedError, match="no identity issued"):
                await first(client.x509_svids())
            fake.status = Status.UNAVAILABLE
            with pytest.raises(NoAnswerError, match="answers UNAVAILABLE: no identity issued"):
                await first(client.x509_svids())

    asyncio.run(scene())


def test_a_server_that_goes_away_ends_the_stream_and_one_that_comes_back_is_found(path: Path) -> None:
    async def scene() -> None:
        async with client_of(path) as client:
            async with a_fake(path):
                stream = client.x509_svids()
                await anext(stream)
            with pytest.raises(NoAnswerError, match=f"the connection to `{path}` broke"):
                await anext(stream)
            async with a_fake(path):
                assert await first(client.x509_svids())

    asyncio.run(scene())


def test_an_answer_that_is_too_long_is_not_taken_into_memory(path: Path) -> None:
    async def scene() -> None:
        async with a_fake(path) as fake, client_of(path) as client:
            fake.answers["X509Bundles"] = message_type("X509BundlesResponse")(bundles={"x": bytes(MAX_REPLY_BYTES)})
            with pytest.raises(NoAnswerError, match="too long"):
                await first(client.x509_authorities("example.org"))

    asyncio.run(scene())


def row(authority: Authority = OURS, **other: Any) -> dict[str, Any]:
    svid = authority.issue_x509(SpiffeId.of(authority.trust_domain, "agent", "reader"), NOW)
    return {**row_of(svid, authority.bundle().x509_authorities), **other}


THEIR_BUNDLE = b"".join(THEIRS.bundle().x509_authorities)
RSA, ED25519 = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "0 SVIDs were given"),
        ([row()] * (MAX_SVIDS + 1), f"{MAX_SVIDS + 1} SVIDs were given"),
        ([row(spiffe_id="spiffe://example.org/agent/writer")], "was given as that of"),
        ([row(spiffe_id="spiffe://example.org/agent/reader\n")], "is not a SPIFFE ID"),
        ([row(spiffe_id="spiffe://other.example/agent/reader")], "trust domain"),
        ([row(bundle=THEIR_BUNDLE)], "not signed by a known authority"),
        ([row(bundle=b"")], "there is no certificate"),
        ([row(x509_svid=b"")], "there is no certificate"),
        ([row(x509_svid=row()["x509_svid"] + b"\x30")], "none"),
        ([row(x509_svid=b"\x30\x82\xff\xff" + bytes(9))], "cut short or too long"),
        ([row(x509_svid=b"\x30\x80" + bytes(9))], "cut short or too long"),
        ([row(x509_svid=b"\x30\x01\x00")], "can't be read"),
        ([row(x509_svid_key=row()["x509_svid_key"])], "is not its certificate's"),
        ([row(x509_svid_key=key_der(RSA))], "is not its certificate's"),
        ([row(x509_svid_key=b"no key")], "can't be read"),
        ([row(x509_svid_key=bytes(10_000))], "longer than"),
        ([row(), row(THEIRS)], "more than one trust domain"),
    ],
)
def test_svids_that_are_not_right_in_all_are_not_taken_at_all(rows: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(IdentityError, match=why):
        given_svids(svids_reply(*rows), NOW)


def test_svids_are_taken_while_they_last_and_without_revocation_lists() -> None:
    reply = svids_reply(row(), row())
    assert len(given_svids(reply, NOW)) == 2
    with pytest.raises(IdentityError, match="not now"):
        given_svids(reply, NOW + 3601)
    reply.crl.append(b"list")
    with pytest.raises(IdentityError, match="revocation"):
        given_svids(reply, NOW)


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_an_svid_may_have_another_key_and_a_chain_of_which_the_first_to_end_ends_it(key: Any) -> None:
    root = certificate(["spiffe://example.org"], authority=True)
    middle = certificate(["spiffe://example.org"], root, authority=True, end=600)
    leaf = _leaf(key, middle)
    rows = {
        "spiffe_id": READER,
        "x509_svid": leaf + middle.der,
        "x509_svid_key": key_der(key),
        "bundle": root.der,
    }
    [svid] = given_svids(svids_reply(rows), NOW)
    assert svid.expires == NOW + 600
    assert svid.chain == (leaf, middle.der)
    with pytest.raises(IdentityError):
        given_svids(svids_reply({**rows, "x509_svid": leaf}), NOW)


def _leaf(key: Any, issuer: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    made = (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .not_valid_before(moment(NOW - 60))
        .not_valid_after(moment(NOW) + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(READER)]), critical=True)
        .sign(issuer.key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def bundles(kind: str, content: bytes, domain: str = "spiffe://example.org") -> Any:
    return message_type(f"{kind}BundlesResponse")(bundles={domain: content})


OUR_BUNDLE = b"".join(OURS.bundle().x509_authorities)
KEY = {name: value for name, value in OURS.bundle().jwt_keys[0].items() if name != "use"}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (bundles("X509", OUR_BUNDLE, "spiffe://other.example"), "was not given"),
        (bundles("X509", b""), "there is no certificate"),
        (bundles("X509", OUR_BUNDLE * 65), "more than 64"),
        (bundles("X509", bytes(2 << 20)), "is longer than"),
        (bundles("X509", OUR_BUNDLE[:-1]), "cut short"),
        (message_type("X509BundlesResponse")(bundles={str(n): b"" for n in range(MAX_BUNDLES + 1)}), "more than 256"),
        (message_type("X509BundlesResponse")(bundles={"spiffe://example.org": OUR_BUNDLE}, crl=[b"x"]), "revocation"),
    ],
)
def test_a_bundle_that_is_not_right_is_not_taken(reply: Any, why: str) -> None:
    with pytest.raises(IdentityError, match=why):
        given_authorities(reply, "example.org")


def test_the_bundles_of_other_trust_domains_are_left_aside() -> None:
    reply = bundles("X509", OUR_BUNDLE)
    reply.bundles["spiffe://other.example"] = b"anything"
    assert given_authorities(reply, "example.org") == split_certificates(OUR_BUNDLE)


def test_token_keys_may_lack_their_use_as_spires_do_and_others_are_skipped() -> None:
    other = {**KEY, "kid": "x", "use": "x509-svid"}
    rows = [KEY, {**KEY, "kid": "b", "use": "jwt-svid", "d": "secret", "x5u": "https://example.org"}, other]
    taken = given_jwt_keys(bundles("JWT", json.dumps({"keys": rows}).encode()), "example.org")
    assert [key["kid"] for key in taken] == [KEY["kid"], "b"]
    assert all(key["use"] == "jwt-svid" and not {"d", "x5u"} & set(key) for key in taken)
    token = OURS.issue_jwt(SpiffeId.parse(READER), ("gateway",), NOW).token.reveal()
    assert verify_jwt(token, {"keys": list(taken[:1])}, "gateway", NOW).spiffe_id == SpiffeId.parse(READER)
    assert given_jwt_keys(bundles("JWT", b'{"keys": []}'), "example.org") == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [1]}',
        b'{"keys": [], "keys": []}',
        json.dumps({"keys": [KEY, KEY]}).encode(),
        json.dumps({"keys": [{**KEY, "kid": ""}]}).encode(),
        json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}).encode(),
        json.dumps({"keys": [KEY] * 65}).encode(),
    ],
)
def test_token_keys_that_are_not_right_are_not_taken(content: bytes) -> None:
    with pytest.raises(IdentityError):
        given_jwt_keys(bundles("JWT", content), "example.org")


def test_a_jwt_svid_is_verified_for_each_audience_and_the_id_it_is_given_as() -> None:
    def reply(authority: Authority = OURS, audience: tuple[str, ...] = ("a", "b"), named: str = READER) -> Any:
        made = message_type("JWTSVIDResponse")()
        token = authority.issue_jwt(SpiffeId.of(authority.trust_domain, "agent", "reader"), audience, NOW).token
        made.svids.add(spiffe_id=named, svid=token.reveal())
        return made

    def take(given: Any) -> Any:
        return given_jwt_svids(given, OURS.bundle().jwks(), "example.org", ("a", "b"), NOW)

    assert str(take(reply())[0].spiffe_id) == READER
    for bad in (reply(THEIRS), reply(audience=("a",)), reply(named=READER + "s"), message_type("JWTSVIDResponse")()):
        with pytest.raises(IdentityError):
            take(bad)


@given(content=st.binary(max_size=64) | st.binary(max_size=200).map(lambda rest: b"\x30" + rest))
def test_any_bytes_in_a_certificates_place_are_refused_and_nothing_worse(content: bytes) -> None:
    with contextlib.suppress(IdentityError):
        parts = split_certificates(content)
        assert b"".join(parts) == content
    for name in ("x509_svid", "x509_svid_key", "bundle"):
        with pytest.raises(IdentityError):
            given_svids(svids_reply({**row(), name: content}), NOW)
    with pytest.raises(IdentityError):
        given_authorities(bundles("X509", content), "example.org")
    with pytest.raises(IdentityError):
        given_jwt_keys(bundles("JWT", content), "example.org")
