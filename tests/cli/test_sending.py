"""A command's request waits for its turn where many others connect, too."""

import socket
import threading
import time
from pathlib import Path

from remit.cli.sending import Sent, send

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))  # the backlog is full

        listener.settimeout(5)

        def serve() -> None:
            time.sleep(0.2)
            listener.accept()[0].close()
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                line.sendall(REPLY)

        server = threading.Thread(target=serve)
        server.start()
        try:
            assert send(path, Sent("GET", "/status")) == (200, {})
        finally:
            server.join(10)
