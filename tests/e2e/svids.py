"""A workload with the stock SPIFFE client in a process of its own, and its calls over mutual TLS."""

import http.client
import os
import ssl
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Remit

ROOT = Path(__file__).parents[2]


def stock_client(socket: Path | str, *arguments: str) -> str:
    """What the stock client, in a process of its own, got at this Workload API."""
    environ = {**os.environ, "SPIFFE_ENDPOINT_SOCKET": f"unix:{socket}"}
    command = [sys.executable, "-m", "tests.e2e.spiffe_workload", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ, check=True, timeout=60, capture_output=True, text=True
    ).stdout.strip()


def context_of(directory: Path) -> ssl.SSLContext:
    """A client's TLS context with what it fetched as `x509`: its SVID, and the bundle to trust."""
    context = ssl.create_default_context(cafile=str(directory / "bundle.pem"))
    context.check_hostname = False  # the certificate names a SPIFFE ID; the chain is checked all the same
    context.load_cert_chain(directory / "svid.pem", directory / "key.pem")
    return context


def called(remit: Remit, context: ssl.SSLContext) -> int:
    """The status of a call through the first guarded server's mutual TLS door."""
    port = int(remit.ready["guarded"][0]["mtls_url"].rsplit(":", 1)[-1])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status
    finally:
        connection.close()
