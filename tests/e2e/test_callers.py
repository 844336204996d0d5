"""How a caller is known: loopback, a unix socket, an X.509-SVID, a JWT-SVID; and who is refused on each way."""

import json
import os
import pwd
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from remit.identity import Authority, SpiffeId, X509Svid
from remit.identity.jwt_svid import CLOCK_LEEWAY
from tests.e2e.calling import CHAT, Reply, bearer, chat, curl, x_api_key
from tests.e2e.conftest import Remit
from tests.e2e.servers import Recorded, guarded_fakes, nobody, start_task

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another uid")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remit, Recorded]]:
    with guarded_fakes(tmp_path_factory.mktemp("callers"), 29000, "vllm") as (remit, fakes):
        yield remit, fakes["vllm"]


@pytest.fixture
def remit(world: tuple[Remit, Recorded]) -> Remit:
    return world[0]


@pytest.fixture
def upstream(world: tuple[Remit, Recorded]) -> Recorded:
    return world[1]


@pytest.fixture
def server(remit: Remit) -> dict[str, Any]:
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    return guarded


@pytest.fixture
def authority(remit: Remit) -> Authority:
    """The trust domain's own: what it signed an hour ago, or for somebody else, can only be had here."""
    return Authority.load(remit.state / "keys" / "authority.json")


@pytest.fixture
def me(remit: Remit) -> SpiffeId:
    return SpiffeId.of(remit.ready["trust_domain"], "user", remit.ready["owner"])


def workload(remit: Remit, *arguments: str) -> str:
    """Run the stock SPIFFE client as another process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.spiffe_workload", *arguments],
        env={**os.environ, "SPIFFE_ENDPOINT_SOCKET": f"unix:{remit.ready['workload_api']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def proof(remit: Remit, reply: Reply) -> str:
    """How the log says that the caller of this reply was known."""
    shown = remit.run("audit", "show", reply.headers["remit-decision"], "--json").stdout
    return str(json.loads(shown.splitlines()[0])["record"]["proof"])


# --- loopback and unix sockets ---


def test_loopback_needs_no_token(remit: Remit, server: dict[str, Any]) -> None:
    reply = curl(server["base_url"] + "/models")
    assert reply.status == 200
    assert proof(remit, reply) == "loopback"


def test_a_unix_socket_with_curl(remit: Remit, server: dict[str, Any]) -> None:
    reply = curl("--unix-socket", server["unix"], "http://localhost/v1/models")
    assert reply.status == 200
    assert proof(remit, reply) == "unix"


def test_a_unix_socket_with_the_openai_client(server: dict[str, Any]) -> None:
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=server["unix"])) as http:
        client = openai.OpenAI(base_url="http://localhost/v1", api_key="unused", http_client=http, max_retries=0)
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello there"}])
    assert answer.choices[0].message.content == "you said: hello there"


def test_an_ordinary_api_key_is_ignored_and_never_sent_on(server: dict[str, Any], upstream: Recorded) -> None:
    keys = ("sk-anything-at-all", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.", "")
    for key in keys:
        for way in (bearer(key), x_api_key(key)):
            assert curl(*way, server["url"] + CHAT, *chat("hi")).status == 200, key
    arrived = [one for one in upstream.requests if one["path"] == CHAT]
    assert len(arrived) >= 2 * len(keys)
    for request in arrived:
        assert not {"authorization", "x-api-key", "cookie"} & set(request["headers"])
        assert "sk-anything" not in json.dumps(request)


@needs_root
def test_another_uid_is_refused_on_every_way(remit: Remit, server: dict[str, Any], upstream: Recorded) -> None:
    seen = len(upstream.requests)
    reply = curl(server["base_url"] + "/models", **nobody())
    assert (reply.status, reply.code) == (401, "unidentified")
    assert "65534" in reply.json["error"]["message"]
    token = start_task(remit, server["name"], "infer,list")[1]
    jwt = workload(remit, "jwt", server["spiffe_id"])
    for stolen in (token, jwt):
        for way in (bearer(stolen), x_api_key(stolen)):
            assert curl(*way, server["base_url"] + "/models", **nobody()).status == 401
    assert curl("--unix-socket", server["unix"], "http://localhost/v1/models", **nobody()).status == 0
    assert curl("-k", server["mtls_url"] + "/v1/models", **nobody()).status == 0
    assert len(upstream.requests) == seen


@needs_root
def test_another_person_of_this_machine_is_known_and_may_nothing(server: dict[str, Any], remit: Remit) -> None:
    people = [one for one in pwd.getpwall() if 1000 <= one.pw_uid <= 60000 and one.pw_name != remit.ready["owner"]]
    for person in people:  # none on a machine with one account: then nobody but the owner is known
        reply = curl(server["base_url"] + "/models", **{**nobody(), "user": person.pw_uid, "group": person.pw_gid})
        assert (reply.status, reply.code) == (403, "no-permit")
        assert f"uid {person.pw_uid}" in reply.json["error"]["message"]


# --- one connection, several processes ---

ASK = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
DISCLOSE = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"


def first_line(sock: socket.socket) -> bytes:
    """Read one whole reply; its status line."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(65536)
        assert piece, head
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-le"))
    while len(body) < length:
        body += sock.recv(65536)
    return head.split(b"\r\n")[0]


EXECS = r"""
import os, socket, sys
port = int(sys.argv[1])
sock = socket.create_connection(("127.0.0.1", port))
ask = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port
sock.sendall(ask)
sys.stdout.buffer.write(sock.recv(65536).split(b"\r\n")[0] + b"\n")
sys.stdout.flush()
os.set_inheritable(sock.fileno(), True)
script = 'while IFS= read -r -t 0.2 line <&%d; do :; done; printf "%s" >&%d; IFS= read -r line <&%d; echo "$line"'
os.dup2(sock.fileno(), 9)
text = ask.decode().replace("\r", "\\r").replace("\n", "\\n")
os.execv("/bin/bash", ["bash", "-c", script % (9, text, 9, 9)])
"""


def test_a_process_that_connects_and_then_execs_is_refused(server: dict[str, Any]) -> None:
    port = server["url"].rsplit(":", 1)[1]
    done = subprocess.run([sys.executable, "-c", EXECS, port], capture_output=True, text=True, check=True, timeout=30)
    first, second = done.stdout.splitlines()
    assert first.startswith("HTTP/1.1 200")
    assert second.startswith("HTTP/1.1 401")


def test_two_programs_that_hold_one_connection_are_refused(server: dict[str, Any]) -> None:
    port = int(server["url"].rsplit(":", 1)[1])
    with socket.socket() as sock, subprocess.Popen(["sleep", "30"], pass_fds=(sock.fileno(),)) as other:
        wait_for_exec(other.pid)
        try:
            sock.connect(("127.0.0.1", port))
            sock.sendall(ASK % port)
            assert first_line(sock).startswith(b"HTTP/1.1 401")
        finally:
            other.kill()


def test_a_second_holder_that_came_later_is_refused_what_is_more_than_the_least(
    remit: Remit, server: dict[str, Any]
) -> None:
    """The least remit is the person's own whoever holds the socket; anything stronger looks at every holder first."""
    port = int(server["url"].rsplit(":", 1)[1])
    token = start_task(remit, server["name"], "disclose")[1]
    with_task = (DISCLOSE % port).replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    with socket.create_connection(("127.0.0.1", port)) as alone:
        alone.sendall(with_task)
        assert first_line(alone).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(ASK % port)
        assert first_line(sock).startswith(b"HTTP/1.1 200")
        with subprocess.Popen(["sleep", "30"], pass_fds=(sock.fileno(),)) as other:
            wait_for_exec(other.pid)
            try:
                sock.sendall(with_task)
                assert first_line(sock).startswith(b"HTTP/1.1 401")
            finally:
                other.kill()


def wait_for_exec(pid: int) -> None:
    deadline = time.monotonic() + 5
    while "sleep" not in os.readlink(f"/proc/{pid}/exe") and "coreutils" not in os.readlink(f"/proc/{pid}/exe"):
        assert time.monotonic() < deadline
        time.sleep(0.005)


# --- X.509-SVIDs ---


@pytest.fixture(scope="module")
def svid(world: tuple[Remit, Recorded], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate, key and bundle as the stock SPIFFE client fetched them."""
    directory = tmp_path_factory.mktemp("svid")
    told = workload(world[0], "x509", str(directory))
    ready = world[0].ready
    assert told == f"spiffe://{ready['trust_domain']}/user/{ready['owner']}"
    return directory


def tls(server: dict[str, Any], path: Path, bundle: Path) -> tuple[list[str], bytes]:
    """Call by mutual TLS from Python: the server's URI names, and its reply's status line."""
    host, _, port = server["mtls_url"].removeprefix("https://").rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # an SVID is known by its URI, below, not by a host name
    context.load_verify_locations(bundle)
    context.load_cert_chain(path / "svid.pem", path / "key.pem")
    with socket.create_connection((host, int(port)), timeout=10) as raw, context.wrap_socket(raw) as sock:
        certificate = sock.getpeercert()
        assert certificate is not None
        names: Any = certificate["subjectAltName"]
        sock.sendall(ASK % int(port))
        return [value for kind, value in names if kind == "URI"], sock.recv(65536).split(b"\r\n")[0]


def written(directory: Path, svid: X509Svid) -> Path:
    directory.mkdir(exist_ok=True)
    pem = "".join(ssl.DER_cert_to_PEM_cert(der) for der in svid.chain)
    assert svid.key is not None
    (directory / "svid.pem").write_text(pem)
    (directory / "key.pem").write_bytes(svid.key.reveal_pem())
    return directory


def by_curl(server: dict[str, Any], directory: Path) -> Reply:
    files = ("--cert", str(directory / "svid.pem"), "--key", str(directory / "key.pem"))
    return curl("-k", *files, server["mtls_url"] + "/v1/models")


def test_mutual_tls_with_curl(remit: Remit, server: dict[str, Any], svid: Path) -> None:
    reply = by_curl(server, svid)
    assert reply.status == 200
    assert proof(remit, reply) == "mtls"


def test_mutual_tls_verifies_the_gateway_by_its_own_svid(remit: Remit, server: dict[str, Any], svid: Path) -> None:
    names, status = tls(server, svid, svid / "bundle.pem")
    assert names == [f"spiffe://{remit.ready['trust_domain']}/remit/gateway/inference"]
    assert status.startswith(b"HTTP/1.1 200")


def test_certificates_that_prove_nothing_here_are_refused(
    server: dict[str, Any], upstream: Recorded, authority: Authority, me: SpiffeId, tmp_path: Path
) -> None:
    seen, now = len(upstream.requests), time.time()
    stranger = Authority.create("other.example", now)
    impostor = Authority.create(authority.trust_domain, now)
    refused = {
        "another trust domain": stranger.issue_x509(SpiffeId.of("other.example", "user", "root"), now),
        "the same name, other keys": impostor.issue_x509(me, now),
        "expired": authority.issue_x509(me, now - 600, 60),
        "nobody's identity": authority.issue_x509(SpiffeId.of(authority.trust_domain, "user", "stranger"), now),
    }
    for what, one in refused.items():
        assert by_curl(server, written(tmp_path / "svid", one)).status in {0, 401}, what
    assert curl("-k", server["mtls_url"] + "/v1/models").status == 0, "no certificate"
    assert len(upstream.requests) == seen
    good = authority.issue_x509(me, now - 60, 3600)
    assert by_curl(server, written(tmp_path / "svid", good)).status == 200, "the same way, with a good one"


# --- JWT-SVIDs ---


@pytest.fixture(scope="module")
def jwt(world: tuple[Remit, Recorded]) -> str:
    return workload(world[0], "jwt", world[0].ready["guarded"][0]["spiffe_id"])


@pytest.mark.parametrize("way", [bearer, x_api_key])
def test_a_jwt_svid_in_the_api_key_s_place(
    remit: Remit, server: dict[str, Any], upstream: Recorded, jwt: str, way: Any
) -> None:
    reply = curl(*way(jwt), server["url"] + CHAT, *chat("by token"))
    assert reply.status == 200
    assert proof(remit, reply) == "jwt-svid"
    assert jwt not in json.dumps(upstream.requests[-1])


def test_tokens_that_prove_nothing_here_are_refused(
    remit: Remit, server: dict[str, Any], upstream: Recorded, authority: Authority, me: SpiffeId, jwt: str
) -> None:
    seen, now, audience = len(upstream.requests), time.time(), (server["spiffe_id"],)
    stranger = Authority.create("other.example", now)
    impostor = Authority.create(authority.trust_domain, now)
    head, claims, signature = jwt.split(".")
    flipped = claims[:-6] + ("A" if claims[-6] != "A" else "B") + claims[-5:]
    refused = {
        "another audience": workload(remit, "jwt", "spiffe://other.example/elsewhere"),
        "an altered claim": f"{head}.{flipped}.{signature}",
        "another signature": f"{head}.{claims}.{'A' * len(signature)}",
        "no signature": f"{head}.{claims}.",
        "expired": authority.issue_jwt(me, audience, now - 600, 300).token.reveal(),
        "another trust domain": stranger.issue_jwt(SpiffeId.of("other.example", "user", "root"), audience, now)
        .token.reveal(),
        "the same name, other keys": impostor.issue_jwt(me, audience, now).token.reveal(),
        "nobody's identity": authority.issue_jwt(
            SpiffeId.of(authority.trust_domain, "user", "stranger"), audience, now
        ).token.reveal(),
    }  # fmt: skip
    for what, token in refused.items():
        for way in (bearer, x_api_key):
            reply = curl(*way(token), server["url"] + CHAT, *chat("hi"))
            assert (what, reply.status, reply.code) == (what, 401, "unidentified")
            assert token not in reply.body.decode()
    assert len(upstream.requests) == seen
    good = authority.issue_jwt(me, audience, now).token.reveal()
    assert curl(*bearer(good), server["url"] + CHAT, *chat("hi")).status == 200, "the same way, with a good one"


def test_what_expires_on_an_open_connection_ends_there(
    server: dict[str, Any], authority: Authority, me: SpiffeId, tmp_path: Path
) -> None:
    now = time.time()
    files = written(tmp_path / "svid", authority.issue_x509(me, now, 3))
    token = authority.issue_jwt(me, (server["spiffe_id"],), now + 3 - CLOCK_LEEWAY - 60, 60).token.reveal()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the other way round is looked at above
    context.load_cert_chain(files / "svid.pem", files / "key.pem")
    port, tls_port = (int(server[way].rsplit(":", 1)[1]) for way in ("url", "mtls_url"))
    with_token = (ASK % port).replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    with (
        socket.create_connection(("127.0.0.1", port)) as by_token,
        socket.create_connection(("127.0.0.1", tls_port)) as raw,
        context.wrap_socket(raw) as by_svid,
    ):
        asked = ((by_token, with_token), (by_svid, ASK % tls_port))
        for expected in (b"HTTP/1.1 200", b"HTTP/1.1 401"):
            for sock, request in asked:
                sock.sendall(request)
                assert first_line(sock).startswith(expected), sock
            time.sleep(max(0.0, now + 3.1 - time.time()))
