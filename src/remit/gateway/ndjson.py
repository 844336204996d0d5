"""Framing of newline-delimited JSON: bytes in, lines out."""

from typing import Final

from remit.errors import UpstreamError

MAX_LINE_BYTES: Final = 16 * 1024 * 1024  # as for server-sent events


class LineParser:
    """Splits a byte stream into lines, however it is cut; empty lines are left out."""

    __slots__ = ("_buffer", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes; raises UpstreamError when one grows past MAX_LINE_BYTES."""
        self._buffer += data
        lines = []
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = self._buffer[:end].strip().decode("utf-8", "replace")
            del self._buffer[: end + 1]
            self._searched = 0
            if line:
                lines.append(line)
        self._searched = len(self._buffer)
        if len(self._buffer) > MAX_LINE_BYTES:
            raise UpstreamError(f"the server sent a line of more than {MAX_LINE_BYTES} bytes")
        return lines

    def close(self) -> list[str]:
        """The last line, where the stream ended without a newline."""
        line, self._buffer = self._buffer.strip().decode("utf-8", "replace"), bytearray()
        return [line] if line else []
