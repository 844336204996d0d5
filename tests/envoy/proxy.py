"""A real Envoy with the configuration that docs/envoy.md shows, and the server behind it."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import ROOT
from tests.interop.peers import envoy

UP_SECONDS = 20.0


def documented(**changed: str) -> str:
    """The page's configuration; each change is of a text that stands in it."""
    page = (ROOT / "docs" / "envoy.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    return replaced(text, {"127.0.0.1, port_value: 8443": f"127.0.0.1, port_value: {free_port()}"} | changed)


def replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def bare(configuration: str, port: int, other: int) -> str:
    """The same at another port, asking nobody."""
    before, _, filters = configuration.partition("                  - name: envoy.filters.http.ext_authz\n")
    asks, router, rest = filters.partition("                  - name: envoy.filters.http.router\n")
    assert "grpc_service" in asks
    route, _, settings = before.partition("                          typed_per_filter_config:\n")
    _, chain, after = settings.partition("                http_filters:\n")
    return replaced(route + chain + after + router + rest, {f"port_value: {port}": f"port_value: {other}"})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


@dataclass
class Behind:
    """What stands behind Envoy: it keeps the heads and bodies that reach it, and says `ok`."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                self.bodies.append(await _body(head.lower(), reader))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def _body(head: str, reader: asyncio.StreamReader) -> bytes:
    said = [line for line in head.split("\r\n") if line.startswith("content-length:")]
    if said:
        return await reader.readexactly(int(said[0].partition(":")[2]))
    body = b""
    while "transfer-encoding: chunked" in head:
        size = int(await reader.readline(), 16)
        piece = await reader.readexactly(size + 2)
        if not size:
            break
        body += piece[:-2]
    return body


@contextlib.contextmanager
def running(place: Path, configuration: str, core: int | None = None) -> Iterator[int]:
    """Envoy with this configuration, on that core if one is named; gives the port that it listens on."""
    port = int(configuration.partition("socket_address: {address: 127.0.0.1, port_value: ")[2].partition("}")[0])
    file = place / "envoy.yaml"
    file.write_text(configuration)
    log = place / "envoy.log"
    with log.open("wb") as said:
        command = [envoy(), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
        command = command if core is None else ["taskset", "-c", str(core), *command]
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=place)
    try:
        deadline = time.monotonic() + UP_SECONDS
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "Envoy does not answer"
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def client_context(place: Path, name: str) -> ssl.SSLContext:
    """A client that shows the SVID of that name; Envoy's own is not checked here."""
    context = ssl.create_default_context(cafile=str(place / "bundle.pem"))
    context.check_hostname = False
    context.load_cert_chain(place / f"{name}.pem", place / f"{name}.key")
    return context
