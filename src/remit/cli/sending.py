"""One request to the running control process over its unix socket, and its answer."""

import http.client
import json
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remit.cli.who_answers import check_who_answers
from remit.config import Places
from remit.errors import StateError

TIMEOUT_SECONDS: Final = 30.0
PROOF_HEADER: Final = "remit-proof"


@dataclass(frozen=True, slots=True)
class Sent:
    """What is asked: the same bytes each time it is sent."""

    method: str
    target: str
    payload: bytes | None = None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Waits for its turn: with a time-out of Python's own, connecting fails at once while the backlog is full."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(TIMEOUT_SECONDS), 0))
        self.sock.connect(str(self._path))
        self.sock.settimeout(TIMEOUT_SECONDS)
        check_who_answers(self.sock, self._path)


def send(path: Path, sent: Sent, proof: str = "") -> tuple[int, Any]:
    """The answer of control at `path`: its status and JSON. `proof` is the id of one that goes with the request.

    Raises StateError when nobody answers.
    """
    connection = _UnixConnection(path)
    headers = {"content-type": "application/json"} if sent.payload else {}
    if proof:
        headers[PROOF_HEADER] = proof
    try:
        connection.request(sent.method, sent.target, sent.payload, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise _silent(path) from error
    except PermissionError as error:
        raise StateError(f"`{path}` is not yours to use", hint="its owner runs this Remit") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StateError(f"control did not answer on `{path}`: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()


def _silent(path: Path) -> StateError:
    if path == Places.system().api_socket:
        return StateError("this machine's own Remit is not running", hint="root starts it with `remit up --system`")
    return StateError("remit is not running here", hint="start it with `remit up`")
