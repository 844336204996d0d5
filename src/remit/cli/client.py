"""Asks the running control process; where it wants proof of a person, obtains it, and asks the same once more."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from remit.cli.proving import Needed, obtain
from remit.cli.sending import Sent, send
from remit.errors import RemitError, UsageError


class AnsweredError(RemitError):
    """What control refused or could not do, in its own words."""

    def __init__(self, message: str, *, hint: str, exit_code: int) -> None:
        super().__init__(message, hint=hint)
        self.code = exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override] # control says which family it was
        return self.code


def ask(path: Path, method: str, *segments: str, body: Any = None, query: dict[str, str] | None = None) -> Any:
    """Send one request to the control socket at `path`; its JSON answer. Raises StateError when nobody answers.

    A proof is obtained at most once, and goes with the very same request, from this very process.
    """
    target = "/" + "/".join(quote(segment, safe="") for segment in segments)
    if query:
        target += "?" + urlencode(query)
    asked = Sent(method, target, None if body is None else json.dumps(body).encode())
    status, answer = send(path, asked)
    needed = Needed.of(status, answer)
    if needed is not None and obtain(path, needed):
        status, answer = send(path, asked, needed.id)
    if status >= 400:
        raise _error(answer)
    return answer


def _error(answer: Any) -> RemitError:
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        said = answer["error"]
        return AnsweredError(said["message"], hint=said.get("hint", ""), exit_code=int(said.get("exit_code", 1)))
    return UsageError(f"control could not take the request: {_misfit(answer)}")


def _misfit(answer: Any) -> str:
    """What of it was no good, by the first of the complaints of who checked its shape."""
    complaints = answer.get("detail") if isinstance(answer, dict) else None
    if not isinstance(complaints, list) or not complaints:
        return json.dumps(answer)
    where, why = complaints[0]["loc"], complaints[0]["msg"]
    return f"`{where[-1]}`: {why[:1].lower()}{why[1:]}"
