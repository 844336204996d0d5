"""Frames on the link between control and a worker: length, version, one JSON object. A codec, no socket.

4 bytes  length of the rest, big-endian
1 byte   version
n bytes  a JSON object in UTF-8, with a string `type`; `link.py` has the types
"""

import json
from typing import Any, Final

from remit.errors import ProtocolError

VERSION: Final = 1
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024  # policies take up to 12 MiB of it as JSON

_HEAD: Final = 5


def pack(message: dict[str, Any]) -> bytes:
    """The frame for one message; raises ProtocolError when it has no `type` or is too large."""
    _checked(message)
    body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode()
    if 1 + len(body) > MAX_FRAME_BYTES:
        raise ProtocolError(f"a link message of {len(body)} bytes is over {MAX_FRAME_BYTES}")
    return (1 + len(body)).to_bytes(4, "big") + bytes([VERSION]) + body


class Unpacker:
    """Turns bytes, cut anywhere, into messages. After a ProtocolError the link is not to be used again."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._broken = False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that `data` completes; raises ProtocolError for a frame that isn't one of ours."""
        if self._broken:
            raise ProtocolError("the link broke before")
        self._pending += data
        self._broken = True
        messages = []
        start = 0
        while (end := self._end_of_frame(start)) is not None:
            messages.append(_parsed(bytes(self._pending[start + _HEAD : end])))
            start = end
        del self._pending[:start]
        self._broken = False
        return messages

    def _end_of_frame(self, start: int) -> int | None:
        """Where the frame at `start` ends, None while it is not all here. Checked before anything is kept for it."""
        have = len(self._pending) - start
        if have < 4:
            return None
        length = int.from_bytes(self._pending[start : start + 4], "big")
        if not 1 <= length <= MAX_FRAME_BYTES:
            raise ProtocolError(f"a link frame of {length} bytes is not between 1 and {MAX_FRAME_BYTES}")
        if have >= _HEAD and self._pending[start + 4] != VERSION:
            raise ProtocolError(
                f"link version {self._pending[start + 4]} is not {VERSION}",
                hint="control and worker must be of one release: restart remit",
            )
        return start + 4 + length if have >= 4 + length else None


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError:
        raise ProtocolError("a link frame holds no JSON") from None
    except RecursionError:
        raise ProtocolError("a link frame is nested too deeply") from None
    return _checked(message)


def _checked(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError("a link message is an object with a `type`")
    return message
