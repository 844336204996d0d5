"""A whole Remit as the client of an outside Workload API: a second Remit, in another trust domain, plays SPIRE."""

import http.client
import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from remit.config import Places
from remit.identity import Authority, SpiffeId
from tests.e2e.conftest import Remit
from tests.e2e.svids import called, context_of, stock_client
from tests.e2e.test_authority import put_back
from tests.faults.world import alive, apart, configure, processes, records, running, until
from tests.identity.outside import OutsideCa

OUTER_PORT, INNER_PORT = 18_700, 18_800


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with apart() as address:
        yield address


@dataclass(frozen=True)
class World:
    """Where the outside Remit and its client keep what they have, and the server that they both guard."""

    outer: Path
    inner: Path
    server: str

    @property
    def socket(self) -> Path:
        return Places.of(self.outer, {}).workload_api_socket

    def configure(self) -> None:
        configure(self.outer, OUTER_PORT, self.server, top='trust_domain = "outer.example"\n')
        configure(self.inner, INNER_PORT, self.server, more=f'[spire]\nsocket = "unix://{self.socket}"\n')

    @contextmanager
    def both(self) -> Iterator[tuple[Remit, Remit]]:
        with running(self.outer) as outer, running(self.inner) as inner:
            yield outer, inner


@pytest.fixture
def world(server: str, tmp_path: Path) -> World:
    made = World(tmp_path / "outer", tmp_path / "inner", server)
    made.configure()
    return made


def bearing(inner: Remit, token: str) -> tuple[int, Any]:
    port = int(inner.ready["guarded"][0]["url"].rsplit(":", 1)[-1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {token}"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def status(remit: Remit) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(remit.run("status", "--json").stdout)
    return found


def notes(remit: Remit, words: str) -> str:
    """The next note that has these words."""
    while True:
        text: str = remit.event("note")["text"]
        if words in text:
            return text


def a_third(directory: Path) -> ssl.SSLContext:
    """A caller with an SVID of a trust domain that nobody here knows, who trusts what the others trust."""
    own = directory / "third"
    own.mkdir()
    authority = Authority.create("third.example", time.time())
    svid = authority.issue_x509(SpiffeId.of("third.example", "user", "root"), time.time())
    assert svid.key is not None
    (own / "svid.pem").write_text("".join(map(ssl.DER_cert_to_PEM_cert, svid.chain)))
    (own / "key.pem").write_bytes(svid.key.reveal_pem())
    (own / "bundle.pem").write_bytes((directory / "bundle.pem").read_bytes())
    return context_of(own)


def test_it_takes_its_identity_from_there_and_issues_nothing(world: World, tmp_path: Path) -> None:
    with world.both() as (outer, inner):
        said = f"SPIRE at {world.socket} (trust domain outer.example), issues nothing itself"
        assert f"identity {said}" in inner.run("status").stdout
        assert "identity own authority" in outer.run("status").stdout
        told = status(inner)
        assert (told["identity"]["text"], told["trust_domain"], told["workload_api"]) == (said, "outer.example", "")
        assert told["guarded"][0]["spiffe_id"].startswith("spiffe://outer.example/")
        assert not Places.of(world.inner, {}).workload_api_socket.exists()
        assert list((world.inner / "keys").iterdir()) == []
        whois = json.loads(inner.run("whois", str(told["workers"]["inference"]), "--json").stdout)
        assert whois["spiffe_id"] == told["identity"]["spiffe_id"]
        keys = {json.dumps(key, sort_keys=True) for key in json.loads(outer.run("bundle").stdout)["keys"]}
        assert {json.dumps(key, sort_keys=True) for key in json.loads(inner.run("bundle").stdout)["keys"]} == keys
        for arguments in (("authority", "rotate"), ("oidc", "publish", str(tmp_path / "oidc"))):
            refused = inner.run(*arguments, "--json", check=False)
            assert (refused.returncode, str(world.socket) in refused.stderr) == (3, True)

        stock_client(world.socket, "x509", str(tmp_path))
        assert called(inner, context_of(tmp_path)) == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            called(inner, a_third(tmp_path))

        audience = told["guarded"][0]["spiffe_id"]
        assert bearing(inner, stock_client(world.socket, "jwt", audience))[0] == 200
        third = Authority.create("outer.example", time.time())  # the name is right, the key is not
        forged = third.issue_jwt(SpiffeId.of("outer.example", "user", "root"), (audience,), time.time())
        assert bearing(inner, forged.token.reveal())[0] == 401
    whats = [row.get("what") for row in records(world.inner)]
    assert "spire.svid" in whats
    assert not {"svid.issued", "authority.prepared"} & set(whats)


def test_a_caller_whose_svid_needs_an_intermediate_is_verified_by_all_that_it_presents(
    world: World, tmp_path: Path
) -> None:
    """As with an authority of SPIRE's that is not the root itself: the bundle has the root alone."""
    tmp_path.chmod(0o700)
    ca = OutsideCa(tmp_path, time.time())
    files = ca.give("outer.example")
    lines = "".join(f'{key} = "{getattr(files, key)}"\n' for key in ("chain", "key", "roots"))
    configure(world.outer, OUTER_PORT, world.server, top=f'trust_domain = "outer.example"\n[authority]\n{lines}')
    with world.both() as (_, inner):
        assert len(json.loads(inner.run("bundle").stdout)["keys"]) == 2  # the root, a token key
        whole = fetched(world, tmp_path / "whole")
        assert [called(inner, whole), called(inner, whole)] == [200, 200]
        svid = tmp_path / "whole" / "svid.pem"
        leaf, end, _ = svid.read_text().partition("-----END CERTIFICATE-----\n")
        svid.write_text(leaf + end)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            called(inner, context_of(svid.parent))


def fetched(world: World, directory: Path) -> ssl.SSLContext:
    directory.mkdir()
    stock_client(world.socket, "x509", str(directory))
    return context_of(directory)


def test_a_rotation_there_reaches_it_without_a_failed_call(world: World, tmp_path: Path) -> None:
    """A caller calls all the time, with what it fetched since the last step: prepared, then active."""
    failed: list[str] = []
    done = threading.Event()

    def caller(inner: Remit, held: list[ssl.SSLContext]) -> None:
        while not done.is_set():
            try:
                if (answer := called(inner, held[-1])) != 200:
                    failed.append(str(answer))
            except OSError as error:
                failed.append(repr(error))

    with running(world.outer) as outer, running(world.inner) as inner:
        held = [fetched(world, tmp_path / "old")]
        before = status(inner)["identity"]["expires"]
        calling = threading.Thread(target=caller, args=(inner, held))
        calling.start()
        try:
            outer.run("authority", "rotate")
            until(lambda: len(json.loads(inner.run("bundle").stdout)["keys"]) == 4, "the new keys are known")
            held.append(fetched(world, tmp_path / "prepared"))
            assert outer.stop() == 0
            put_back(world.outer, 7300)  # the new keys have been known for long when it comes back: they sign
            notes(inner, "stays in force until")
            with running(world.outer):
                notes(inner, "answers again")
                until(lambda: status(inner)["identity"]["expires"] != before, "a new SVID came")
                held.append(fetched(world, tmp_path / "active"))
                assert [called(inner, context) for context in held[1:]] == [200, 200]
        finally:
            done.set()
            calling.join(20)
    assert failed == []
    assert len([row for row in records(world.inner) if row.get("what") == "spire.svid"]) >= 2


def test_killed_there_it_serves_on_here_and_says_so(world: World, tmp_path: Path) -> None:
    with running(world.outer) as outer:
        stock_client(world.socket, "x509", str(tmp_path))
        with running(world.inner) as inner:
            audience = inner.ready["guarded"][0]["spiffe_id"]
            token = stock_client(world.socket, "jwt", audience)
            pids = list(processes(world.outer))
            outer.process.send_signal(signal.SIGKILL)
            for pid in pids:
                os.kill(pid, signal.SIGKILL) if alive(pid) else None
            text = notes(inner, "stays in force until")
            assert str(world.socket) in text
            assert called(inner, context_of(tmp_path)) == 200
            assert bearing(inner, token)[0] == 200
            assert status(inner)["identity"]["silent_since"] is not None
            assert "note     SPIRE is silent since" in inner.run("status").stdout


@pytest.mark.parametrize("there", [False, True], ids=["absent", "refusing"])
def test_without_it_at_the_start_nothing_is_begun(world: World, there: bool) -> None:
    if there:  # a socket that nobody listens on any more
        import socket

        world.socket.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(world.socket))
    before = time.monotonic()
    remit = Remit(world.inner)
    try:
        error = remit.event("error")
        code = remit.process.wait(20)
    finally:
        remit.stop()
    assert str(world.socket) in error["message"]
    assert "spire.socket" in error["hint"]
    assert code == 1
    assert time.monotonic() - before < 10
    assert processes(world.inner) == {}
    left_behind = {path.name for path in world.inner.rglob("*")}
    assert left_behind <= {"config.toml", "keys", "lock"}


def test_a_state_has_one_source_of_identity(world: World, server: str) -> None:
    with world.both():
        pass
    configure(world.inner, INNER_PORT, server)
    remit = Remit(world.inner)
    try:
        error = remit.event("error")
    finally:
        remit.stop()
    assert "came from SPIRE (trust domain `outer.example`)" in error["message"]
