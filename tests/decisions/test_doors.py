"""Mutual TLS: a point on another machine is known by its SVID, and nobody else gets in."""

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from remit.gateway import mutual_tls
from remit.gateway.decisions.authzen_door import AuthzenDoor
from remit.gateway.http1 import serve
from remit.gateway.limits import Limits
from remit.gateway.unidentified import Unidentified
from remit.identity import Authority, SpiffeId
from remit.inventory import Kind, LifeState
from remit.secret import Secret
from tests.decisions.world import EVALUATION, ITSELF, World, snapshot, world
from tests.policy.worlds import LLAMA, TD, sid, workload

POINT, OTHER = sid("pipeline", "records"), sid("agent", "other")
POLICIES = """
@id("views") @reason("the application shows what is public")
permit (principal == Workload::"spiffe://maple.local/pipeline/records", action == Action::"access", resource);
@id("own") @reason("owners use their servers")
permit (principal, action == Action::"infer", resource) when { principal.owner == resource.owner };
"""
ACCESS = {"subject": {"type": "user", "id": "x"}, "action": {"name": "view"}, "resource": {"type": "page", "id": "1"}}
ABOUT_ADA = {"subject": {"type": "human", "id": "ada"}, "action": {"name": "infer"},
             "resource": {"type": "workload", "id": str(LLAMA)}}  # fmt: skip


class Doors:
    """The TLS door beside the world's own, and clients of it."""

    def __init__(self, here: World, authority: Authority, place: Path) -> None:
        self.here, self._authority, self._place = here, authority, place
        self.port = asyncio.run_coroutine_threadsafe(self._open(), here.loop).result(10)

    async def _open(self) -> int:
        zone = self.here.zone
        pem = Secret(_pem(self._authority, ITSELF))
        context = mutual_tls.server_context(pem, self._authority.signing_certificates())
        door = AuthzenDoor(
            self.here.decisions,
            ITSELF,
            "https://0.0.0.0:1",
            Unidentified(zone.audit, time.time, time.monotonic),
            None,
        )
        sock = socket.create_server(("127.0.0.1", 0))
        self.listener = await serve(sock, door, Limits(), context)
        return int(sock.getsockname()[1])

    def ask(
        self, body: Any, by: SpiffeId | None, authority: Authority | None = None, path: str = EVALUATION
    ) -> tuple[int, Any]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if by is not None:
            file = self._place / "client.pem"
            file.write_text(_pem(authority or self._authority, by))
            context.load_cert_chain(file)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)
        with contextlib.closing(connection):
            sent = None if body is None else json.dumps(body)
            connection.request("POST" if sent else "GET", path, sent, {"content-type": "application/json"})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())


def _pem(authority: Authority, of: SpiffeId) -> str:
    svid = authority.issue_x509(of, time.time())
    assert svid.key is not None
    key = svid.key.reveal().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in svid.chain) + key.decode()


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    authority = Authority.create(TD, time.time() - 60)
    workloads = (
        workload(LLAMA), replace(workload(POINT, kind=Kind.PIPELINE), server=""),
        replace(workload(OTHER, kind=Kind.AGENT), server=""),
    )  # fmt: skip
    shot = snapshot(p_cedar=POLICIES, workloads=workloads)
    shot = replace(shot, x509_authorities=tuple(authority.signing_certificates()))
    with world(tmp_path, shot, (POINT,)) as here:
        opened = Doors(here, authority, tmp_path)
        yield opened
        here.loop.call_soon_threadsafe(opened.listener.abort)
        asyncio.run_coroutine_threadsafe(opened.listener.wait_closed(), here.loop).result(10)


def test_a_point_by_its_svid(doors: Doors) -> None:
    assert doors.ask(ACCESS, POINT)[1]["decision"] is True
    assert doors.ask(ABOUT_ADA, POINT)[1]["decision"] is True
    record = doors.here.records()[0]
    assert (record["workload"], record["proof"]) == (str(POINT), "mtls")


def test_another_s_svid_is_no_point(doors: Doors) -> None:
    assert doors.ask(ACCESS, OTHER)[0] == 403
    assert doors.ask(ABOUT_ADA, OTHER)[0] == 403


def test_nobody_s_is_no_caller(doors: Doors) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        doors.ask(ACCESS, None)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        doors.ask(ACCESS, POINT, Authority.create(TD, time.time() - 60))
    assert doors.ask(ACCESS, sid("agent", "gone"))[0] == 401


def test_a_suspended_point_s_word_is_not_taken(doors: Doors) -> None:
    shot = doors.here.zone.snapshot
    rows = tuple(replace(one, state=LifeState.SUSPENDED) if one.spiffe_id == POINT else one for one in shot.workloads)
    doors.here.put(workloads=rows)
    assert doors.ask(ABOUT_ADA, POINT)[0] == 403
    assert doors.ask(ACCESS, POINT)[0] == 403


def test_a_door_at_every_address_is_found_where_it_was_asked(doors: Doors) -> None:
    status, found = doors.ask(None, POINT, path="/.well-known/authzen-configuration")
    assert (status, found["policy_decision_point"]) == (200, f"https://127.0.0.1:{doors.port}")
