"""The link's frames: any cut gives the same messages, anything else is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import ProtocolError
from remit.policy.frames import MAX_FRAME_BYTES, VERSION, Unpacker, pack

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("\udc80"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.text(), VALUES, max_size=4).flatmap(
    lambda row: st.sampled_from(["snapshot", "ack", "secrets"]).map(lambda kind: {**row, "type": kind})
)


@given(st.lists(MESSAGES, max_size=4), st.lists(st.integers(0, 400), max_size=6))
def test_messages_survive_any_cut(messages: list[dict[str, object]], cuts: list[int]) -> None:
    data = b"".join(pack(message) for message in messages)
    decoder, got, at = Unpacker(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        got += decoder.feed(data[at:cut])
        at = max(at, min(cut, len(data)))
    assert got == messages


def frame(body: bytes, version: int = VERSION) -> bytes:
    return (1 + len(body)).to_bytes(4, "big") + bytes([version]) + body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (frame(b'{"type":"ack"}', version=2), "version 2 is not 1"),
        (frame(b'{"type":"ack"}', version=0)[:5], "version 0 is not 1"),
        ((MAX_FRAME_BYTES + 1).to_bytes(4, "big"), "is not between"),
        (b"\0\0\0\0", "is not between"),
        (frame(b""), "no JSON"),
        (frame(b"[1]"), "an object with a `type`"),
        (frame(b"{}"), "an object with a `type`"),
        (frame(b'{"type":1}'), "an object with a `type`"),
        (frame(b'{"type":"\xff"}'), "no JSON"),
        (frame(b"[" * 200_000), "nested too deeply"),
    ],
    ids=str,
)
def test_what_is_no_frame_of_ours_ends_the_link(data: bytes, says: str) -> None:
    decoder = Unpacker()
    with pytest.raises(ProtocolError, match=says):
        decoder.feed(data)
    with pytest.raises(ProtocolError, match="broke before"):
        decoder.feed(pack({"type": "ack"}))


def test_what_is_too_large_or_no_message_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="is over"):
        pack({"type": "x", "text": "y" * MAX_FRAME_BYTES})
    with pytest.raises(ProtocolError, match="`type`"):
        pack({"text": "y"})
    assert json.loads(pack({"type": "x"})[5:]) == {"type": "x"}
