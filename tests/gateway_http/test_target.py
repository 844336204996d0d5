"""Request targets: one spelling for one route, everything that could hide another is refused."""

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import ProtocolError
from remit.gateway.target import parse_target


@pytest.mark.parametrize(
    ("raw", "path", "query", "canonical"),
    [
        (b"/", "/", "", "/"),
        (b"/v1/chat/completions", "/v1/chat/completions", "", "/v1/chat/completions"),
        (b"/v1/models/a.gguf?x=1&y=%20", "/v1/models/a.gguf", "x=1&y=%20", "/v1/models/a.gguf?x=1&y=%20"),
        (b"/v1/models/", "/v1/models/", "", "/v1/models/"),
        (b"/v1/%6dodels", "/v1/models", "", "/v1/models"),
        (b"/api/show/llama3%3A8b", "/api/show/llama3:8b", "", "/api/show/llama3:8b"),
        (b"/m/%C3%BC%20x", "/m/ü x", "", "/m/%C3%BC%20x"),
        (b"/.well-known/x", "/.well-known/x", "", "/.well-known/x"),
        (b"/a..b", "/a..b", "", "/a..b"),
        (b"/x?", "/x", "", "/x?"),
    ],
)
def test_plain_targets_have_one_spelling(raw: bytes, path: str, query: str, canonical: str) -> None:
    target = parse_target(raw)
    assert (target.path, target.query, target.canonical) == (path, query, canonical)


HIDING = rb"""
* v1/models http://h/v1 //v1 /v1//models /v1/./models /v1/../slots /.. /v1/. /v1%2fmodels /v1%2Fmodels
/v1/%2e%2e/slots /v1/%2E./slots /%2e /a%2eb /v1\..\slots /v1%5c..%5cslots /v1/models%00 /v1/models%0d%0aX:y
/v1/%ff /v1/%c0%ae /v1/%ed%a0%80 /v1/models;x=1 /v1/models%3bx /v1/models#x /v1/models%23x /v1/models%3fx
/v1/%252e /v1/%25 /v1/% /v1/%2 /v1/%zz /v1/%e2%80%ae /v1/%7f /v1/models?a#b /v1/models?%00 /v1/models?%0d%0a
/v1/models?%
"""


@pytest.mark.parametrize("raw", [*HIDING.split(), b"", b"/v1 /models", b"/v1/\xc3\xbc", b"/v1/models?\xff"])
def test_what_could_hide_a_route_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError, match="the request target has"):
        parse_target(raw)


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="/.%2eEfF5cC;?#\\a0~ü:", max_size=14).map(lambda text: b"/" + text.encode()))
def test_whatever_is_taken_means_the_same_when_decoded_again(raw: bytes) -> None:
    try:
        target = parse_target(raw)
    except ProtocolError:
        return
    segments = target.path.split("/")[1:]
    assert not {".", ".."} & set(segments)
    assert "" not in segments[:-1]
    assert parse_target(target.canonical.encode()).path == target.path
    assert unquote(target.canonical.partition("?")[0]) == target.path
    assert unquote(unquote(target.path)) == target.path
