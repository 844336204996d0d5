"""Asks the running control process, over its unix socket."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from remit.cli.who_answers import check_who_answers
from remit.config import Places
from remit.errors import RemitError, StateError, UsageError

TIMEOUT_SECONDS: Final = 30.0


class AnsweredError(RemitError):
    """What control refused or could not do, in its own words."""

    def __init__(self, message: str, *, hint: str, exit_code: int) -> None:
        super().__init__(message, hint=hint)
        self.code = exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override] # control says which family it was
        return self.code


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))
        check_who_answers(self.sock, self._path)


def ask(path: Path, method: str, *segments: str, body: Any = None, query: dict[str, str] | None = None) -> Any:
    """Send one request to the control socket at `path`; its JSON answer. Raises StateError when nobody answers."""
    target = "/" + "/".join(quote(segment, safe="") for segment in segments)
    if query:
        target += "?" + urlencode(query)
    connection = _UnixConnection(path)
    try:
        payload = None if body is None else json.dumps(body).encode()
        connection.request(method, target, payload, {"content-type": "application/json"} if payload else {})
        reply = connection.getresponse()
        answer = json.loads(reply.read())
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise _silent(path) from error
    except PermissionError as error:
        raise StateError(f"`{path}` is not yours to use", hint="its owner runs this Remit") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StateError(f"control did not answer on `{path}`: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    if reply.status >= 400:
        raise _error(answer)
    return answer


def _silent(path: Path) -> StateError:
    if path == Places.system().api_socket:
        return StateError("this machine's own Remit is not running", hint="root starts it with `remit up --system`")
    return StateError("remit is not running here", hint="start it with `remit up`")


def _error(answer: Any) -> RemitError:
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        said = answer["error"]
        return AnsweredError(said["message"], hint=said.get("hint", ""), exit_code=int(said.get("exit_code", 1)))
    return UsageError(f"control could not take the request: {json.dumps(answer)}")
