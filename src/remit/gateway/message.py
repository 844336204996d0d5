"""HTTP messages as values: the request a caller made, and the head of the reply to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from remit.errors import ProtocolError, RemitError

Headers = tuple[tuple[str, str], ...]
"""Names in lower case; a name may stand more than once."""

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers about one connection (RFC 9110 section 7.6.1), and framing, which each side does itself."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+\Z")


def header(headers: Headers, name: str) -> str | None:
    """The value of `name` (lower case), None if absent. Raises `ProtocolError` if it stands twice: which counts?"""
    found: str | None = None
    for each, value in headers:
        if each == name:
            if found is not None:
                raise ProtocolError(f"the header `{name}` stands twice", hint="send it once")
            found = value
    return found


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request. `path` is decoded, `target` is what to send onward, `raw_target` what was sent."""

    method: str
    path: str
    query: str
    target: str
    raw_target: str
    headers: Headers
    body: bytes
    keep_alive: bool
    version: str
    _fields: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_fields", dict(self.headers))

    def header(self, name: str) -> str | None:
        """The value of `name` (lower case), None if absent. Raises `ProtocolError` if it stands twice."""
        if len(self._fields) != len(self.headers):
            return header(self.headers, name)
        return self._fields.get(name)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a reply.

    With `body` this is the whole reply, sent in one write. Else pieces follow: exactly `length` bytes of them, or
    (`streamed`) as many as come, each one chunk.
    """

    status: int
    headers: Headers = ()
    streamed: bool = False
    length: int | None = None
    body: bytes | None = None


def head_bytes(start: str, headers: Headers, framing: str, *, drop: str = "") -> bytes:
    """Start line, the end-to-end `headers` but `drop`, `framing` lines. Raises for what would split the head."""
    lines = [start]
    for name, value in headers:
        if name not in HOP_BY_HOP and name != drop:
            if name not in _SOUND_NAMES:
                _learn_name(name)
            lines.append(f"{name}: {value}\r\n")
    lines.append(framing)
    text = "".join(lines)
    ends = len(lines) - 1 + framing.count("\n")
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise RemitError(
            "a header to be sent holds a line break", hint="this is a defect in what composed the header"
        )
    try:
        return (text + "\r\n").encode("latin-1")
    except UnicodeEncodeError:
        raise RemitError("a header to be sent holds characters beyond latin-1") from None


def status_line(status: int) -> str:
    """`HTTP/1.1 200 OK` with its line end."""
    line = _STATUS_LINES.get(status)
    return line if line is not None else f"HTTP/1.1 {status} \r\n"


def _learn_name(name: str) -> None:
    if not _NAME.match(name):
        raise RemitError("a header to be sent has a malformed name")
    if len(_SOUND_NAMES) < 512:  # upstreams choose these names: bounded
        _SOUND_NAMES.add(name)


_SOUND_NAMES: set[str] = {"content-type", "date"}
_STATUS_LINES: Final = {int(status): f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
