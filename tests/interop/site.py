"""A web server that knows nothing of Remit and serves a directory over TLS, as the issuer's address does."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.interop.server_certificate import write_server_certificate


class Site(http.server.SimpleHTTPRequestHandler):
    """Python's own, without its talk."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name in the standard library)
        pass


@contextmanager
def serving(directory: Path, certificates: Path) -> Iterator[str]:
    """Serve `directory`; its https address. `certificates` gets `server-ca.pem`, which a client has to trust."""
    write_server_certificate(certificates)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(directory))) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"https://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
