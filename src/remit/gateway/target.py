"""Request targets (RFC 9112 section 3.2): one spelling for one resource, so that no route can be hidden."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn
from urllib.parse import quote, unquote_to_bytes

from remit.errors import ProtocolError

_PLAIN_PATH = re.compile(rb"/(?:[A-Za-z0-9_\-~!$&'()*+,=:@][A-Za-z0-9_\-~!$&'()*+,=:@.]*(?:/(?!/)|\Z))*\Z")
"""Segments that don't begin with a dot, not empty but the last, nothing encoded: 99 % of what is ever sent."""

_PATH_BYTES = re.compile(rb"/(?:[A-Za-z0-9_\-~!$&'()*+,=:@./]|%[0-9A-Fa-f]{2})*\Z")
_QUERY_BYTES = re.compile(rb"(?:[A-Za-z0-9_\-~!$&'()*+,=:@./?;\[\]|{}^\"<>]|%[0-9A-Fa-f]{2})*\Z")
_QUERY_CONTROL = re.compile(rb"%(?:[01][0-9A-Fa-f]|7[Ff])")
_DELIMITERS = frozenset("/\\%?#;")
"""Characters that a second decoder would take for structure: refused when they come percent-encoded."""

_KEPT = "/!$&'()*+,=:@~-._"


@dataclass(frozen=True, slots=True)
class Target:
    """`path` decoded; `query` as sent, without `?`; `canonical`, to send onward, decodes to exactly `path`."""

    path: str
    query: str
    canonical: str


def parse_target(raw: bytes) -> Target:
    """The origin-form target in `raw`, or `ProtocolError` for another form or a spelling that could hide a route."""
    if b"?" not in raw:  # queries may carry secrets: never kept
        return _path_only(raw)
    path, _, query = raw.partition(b"?")
    text = query.decode("ascii") if _QUERY_BYTES.match(query) else _refuse("characters that no query may hold")
    if _QUERY_CONTROL.search(query):
        _refuse("an encoded control character")
    target = _path_only(path)
    return Target(target.path, text, f"{target.canonical}?{text}")


@lru_cache(maxsize=256)
def _path_only(path: bytes) -> Target:
    if _PLAIN_PATH.match(path):
        plain = path.decode("ascii")
        return Target(plain, "", plain)
    decoded = _decoded(path)
    return Target(decoded, "", quote(decoded, safe=_KEPT))


def _decoded(path: bytes) -> str:
    if not path.startswith(b"/"):
        _refuse("no `/` at its beginning: only a path on this server is taken")
    if not _PATH_BYTES.match(path):
        _refuse("characters that no path may hold unencoded (such as `#`, `;`, `\\`)")
    literal = re.sub(rb"%2[eE]", b"%2e", path)
    if b"%2e" in literal:
        _refuse("an encoded dot")
    decoded = _utf8(path)
    _refuse_hidden(path, decoded)
    segments = decoded.split("/")[1:]
    if "" in segments[:-1] or "." in segments or ".." in segments:
        _refuse("an empty, `.` or `..` segment")
    return decoded


def _utf8(path: bytes) -> str:
    try:
        return unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        _refuse("encoded bytes that are not utf-8")


def _refuse_hidden(path: bytes, decoded: str) -> None:
    if decoded.count("/") != path.count(b"/") or any(char in _DELIMITERS for char in decoded.replace("/", "")):
        _refuse("an encoded delimiter")
    if not decoded.isprintable():
        _refuse("an encoded control, space-like or unassigned character")


def _refuse(what: str) -> NoReturn:
    raise ProtocolError(
        f"the request target has {what}", hint="send the plain path of the route, such as `/v1/models`"
    )
