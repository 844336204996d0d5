"""Framing of server-sent events: bytes in, events out (WHATWG HTML, section 9.2.6)."""

from typing import Final, NamedTuple

from remit.errors import UpstreamError

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024  # a Responses `completed` event repeats the whole answer
_BOM: Final = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event: its name (empty: `message`) and its data lines joined by newlines. A comment has neither."""

    name: str
    data: str


class SseParser:
    """Splits a byte stream into events, however it is cut. Comments come out as an empty event (a keep-alive)."""

    __slots__ = ("_begun", "_buffer", "_carriage", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._carriage = False
        self._begun = False

    @property
    def empty(self) -> bool:
        """Nothing of an event is held: the next byte begins one."""
        return self._begun and not self._buffer and not self._carriage

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes; raises UpstreamError when one grows past MAX_EVENT_BYTES."""
        self._buffer += self._lines(data)
        if not self._begun and not self._begin():
            return []
        events = []
        while (end := self._buffer.find(b"\n\n", self._searched)) >= 0:
            event = _event(bytes(self._buffer[:end]))
            del self._buffer[: end + 2]
            self._searched = 0
            if event is not None:
                events.append(event)
        self._searched = max(0, len(self._buffer) - 1)
        if len(self._buffer) > MAX_EVENT_BYTES:
            raise UpstreamError(f"the server sent an event of more than {MAX_EVENT_BYTES} bytes")
        return events

    def close(self) -> list[SseEvent]:
        """What a stream that ended without its last empty line still held: stock clients accept that."""
        block, self._buffer = bytes(self._buffer).strip(b"\n"), bytearray()
        event = _event(block) if block else None
        return [] if event is None else [event]

    def _lines(self, data: bytes) -> bytes:
        """The same lines ended by LF alone; a CR at the very end waits for the byte that may follow it."""
        if b"\r" not in data and not self._carriage:
            return data
        if self._carriage:
            data = b"\r" + data
        self._carriage = data.endswith(b"\r")
        if self._carriage:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _begin(self) -> bool:
        if len(self._buffer) < len(_BOM) and _BOM.startswith(self._buffer):
            return False
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        self._begun = True
        return True


def encode(name: str, data: str) -> bytes:
    """One event as bytes; an event with neither name nor data is a comment line that keeps a connection alive."""
    if not name and not data:
        return b":\n\n"
    if "\n" in data or "\r" in data:
        data = "\ndata: ".join(data.replace("\r", "\n").split("\n"))
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode("utf-8", "surrogatepass")


def _event(block: bytes) -> SseEvent | None:
    if block.startswith(b"data: ") and b"\n" not in block:  # the ordinary case
        return SseEvent("", block[6:].decode("utf-8", "replace"))
    name, data, comment = "", [], False
    for line in block.decode("utf-8", "replace").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif not field and line:
            comment = True
    if data:
        return SseEvent(name, "\n".join(data))
    return SseEvent("", "") if comment else None
