"""llhttp's own byte streams: what it rejects is rejected here; what is refused beyond that is listed, and why."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from remit.errors import ProtocolError, RemitError
from remit.gateway.limits import Limits
from remit.gateway.reply_reader import ReplyReader
from remit.gateway.request_reader import RequestReader

UPGRADE, METHOD, TARGET = "no protocol is switched to", "no such method is served", "only plain paths are taken"
UNASKED = "two replies to one request"
CODING, VERSION = "only `chunked` is spoken", "only HTTP/1.0 and 1.1 are spoken"

STRICTER = {
    "connection.md: Sample": UPGRADE,
    "connection.md: Multiple tokens with folding and LWS": UPGRADE,
    "connection.md: Setting a flag and pausing": UPGRADE,
    "connection.md: Emitting part of body and pausing": UPGRADE,
    "connection.md: Upgrade GET request": UPGRADE,
    "connection.md: Upgrade POST request": UPGRADE,
    "method.md: REPORT request": METHOD,
    "method.md: CONNECT request": METHOD,
    "method.md: CONNECT request with CAPS": METHOD,
    "method.md: CONNECT with body": METHOD,
    "method.md: M-SEARCH request": METHOD,
    "method.md: PURGE request": METHOD,
    "method.md: SEARCH request": METHOD,
    "method.md: LINK request": METHOD,
    "method.md: SOURCE request": METHOD,
    "method.md: SOURCE request with ICE": METHOD,
    "method.md: ANNOUNCE request with RTSP": METHOD,
    "method.md: QUERY request": METHOD,
    "method.md: PRI request HTTP2": VERSION,
    "sample.md: No HTTP version": VERSION,
    "sample.md: curl GET": "`Host: 0.0.0.0=5000` is no host",
    "sample.md: Firefox GET": "`Host: 0.0.0.0=5000` is no host",
    "transfer-encoding.md: Trailing headers": "trailers are not taken",
    "transfer-encoding.md: POST with `chunked` as last transfer-encoding": CODING,
    "transfer-encoding.md: POST with `chunked` as last transfer-encoding (multiple headers)": CODING,
    "uri.md: Quotes in URI": TARGET,
    "uri.md: Host terminated by a query string": TARGET,
    "uri.md: `host:port` terminated by a query string": TARGET,
    "uri.md: `host:port` terminated by a space": TARGET,
    "uri.md: Fragment in URI": TARGET,
    "uri.md: Underscore in hostname": TARGET,
    "uri.md: `host:port` and basic auth": TARGET,
    "pipelining.md: Should parse multiple events": UNASKED,
    "connection.md: HTTP/1.1 with 204 status": UNASKED,
    "connection.md: HTTP/1.0 with keep-alive and 204 status": UNASKED,
    "connection.md: HTTP 304 with Content-Length": UNASKED,
    "connection.md: HTTP 304 with Transfer-Encoding": UNASKED,
    "connection.md: HTTP 101 response with Upgrade and Content-Length header": UPGRADE,
    "connection.md: HTTP 101 response with Upgrade and Transfer-Encoding header": UPGRADE,
    "sample.md: HTTP version 0.9": VERSION,
    "transfer-encoding.md: `chunked` before other transfer-encoding": CODING,
    "transfer-encoding.md: multiple transfer-encoding where chunked is not the last one": CODING,
    "transfer-encoding.md: `chunkedchunked` transfer-encoding does not enable chunked enconding": CODING,
}
"""Accepted by llhttp in its strict mode and refused here (2026-07). This list can only shrink."""


def rows(vectors: Path, kind: str) -> list[dict[str, Any]]:
    every = [json.loads(line) for line in (vectors / "http_llhttp.jsonl").read_text().splitlines()]
    assert len(every) == 251
    return [row for row in every if row["meta"]["type"].startswith(kind)]


def name(row: dict[str, Any]) -> str:
    return f"{row['file'].split('/')[1]}: {row['title']}"


def strict(row: dict[str, Any]) -> bool:
    """The row shows llhttp as it is used here, with no leniency switched on."""
    return "lenient" not in row["meta"]["type"]


def data(row: dict[str, Any]) -> bytes:
    return base64.b64decode(row["b64"])


def with_host(stream: bytes) -> bytes:
    """llhttp looks at no `Host`; here each HTTP/1.1 request needs one. Added where the row has none."""
    return stream if re.search(rb"(?i)\r\nhost:", stream) else re.sub(rb"( HTTP/1\.1\r\n)", rb"\1Host: x\r\n", stream)


def request_taken(stream: bytes, step: int) -> bool:
    reader = RequestReader(Limits())
    try:
        for start in range(0, len(stream), step):
            reader.feed(stream[start : start + step])
    except ProtocolError:
        return False
    finally:
        reader.close()
    return True


def reply_taken(stream: bytes, step: int) -> bool:
    reader = ReplyReader()
    reader.expect("GET")
    try:
        for start in range(0, len(stream), step):
            if reader.complete:
                reader.expect("GET")
            reader.feed(stream[start : start + step])
    except RemitError:
        return False
    finally:
        reader.close()
    return True


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_what_llhttp_rejects_in_requests_is_rejected(vectors: Path, step: int) -> None:
    rejected = [row for row in rows(vectors, "request") if row["expect"] == "reject"]
    assert len(rejected) == 60
    assert [name(row) for row in rejected if request_taken(data(row), step)] == []
    with_hosts = [name(row) for row in rejected if request_taken(with_host(data(row)), step)]
    assert with_hosts == []


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_llhttp_takes_in_requests_is_taken_but_for_the_list(vectors: Path, step: int) -> None:
    accepted = [row for row in rows(vectors, "request") if row["expect"] == "accept" and strict(row)]
    assert len(accepted) == 82
    refused = {name(row) for row in accepted if not request_taken(with_host(data(row)), step)}
    assert refused - set(STRICTER) == set()


def test_the_list_of_what_is_refused_on_purpose_has_no_idle_entry(vectors: Path) -> None:
    requests = {name(row) for row in rows(vectors, "request") if not request_taken(with_host(data(row)), 1 << 20)}
    replies = {name(row) for row in rows(vectors, "response") if not reply_taken(data(row), 1 << 20)}
    assert set(STRICTER) - requests - replies == set()


def test_what_only_a_lenient_parser_takes_is_refused(vectors: Path) -> None:
    """A leniency is what smuggling needs. Rows that the strict parser takes as well are not about leniency."""
    lenient = [row for row in rows(vectors, "request") if row["expect"] == "accept" and not strict(row)]
    taken = {name(row) for row in lenient if request_taken(data(row), 1 << 20)}
    assert taken == set()


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_llhttp_rejects_in_replies_is_rejected(vectors: Path, step: int) -> None:
    rejected = [row for row in rows(vectors, "response") if row["expect"] == "reject"]
    assert len(rejected) == 24
    taken = {name(row) for row in rejected if reply_taken(data(row), step)}
    assert taken == set()


def test_what_llhttp_takes_in_replies_is_taken_but_for_the_list(vectors: Path) -> None:
    accepted = [row for row in rows(vectors, "response") if row["expect"] == "accept" and strict(row)]
    assert len(accepted) == 53
    assert {name(row) for row in accepted if not reply_taken(data(row), 1 << 20)} - set(STRICTER) == set()
