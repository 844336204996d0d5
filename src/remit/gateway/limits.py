"""What a caller may use of the gateway before it is refused: bytes, counts and seconds."""

from dataclasses import dataclass
from typing import Final

HEADER_BYTES: Final = 32 * 1024
"""nginx allows four 8 KiB header buffers; agents' longest tokens stay under 16 KiB."""

HEADER_COUNT: Final = 100
"""Apache's and hyper's default."""

TARGET_BYTES: Final = 8 * 1024
"""RFC 9112 section 3 recommends 8,000 octets at least."""

BODY_BYTES: Final = 32 * 1024 * 1024
"""A 128k-token prompt is under 1 MiB; several images as base64 fit."""

BODY_BYTES_TOTAL: Final = 256 * 1024 * 1024
"""All bodies held at once over all connections, so that many large ones can't exhaust the worker's memory."""

PIPELINED: Final = 64
"""Whole requests in one read. A client that sends more before the first answer gets its connection closed."""

BACKLOG_BYTES: Final = 64 * 1024
"""Bytes taken in behind a request that is being answered; beyond, reading pauses."""

CHUNK_OVERHEAD: Final = 16
"""Framing bytes tolerated for each body byte of a chunked body: one-byte chunks cost 6, extensions more."""

CONNECTIONS: Final = 2048
"""Twice the 1,000 idle connections that must be carried."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds for one listening socket. Times are kept to about `sweep` seconds."""

    header_bytes: int = HEADER_BYTES
    header_count: int = HEADER_COUNT
    target_bytes: int = TARGET_BYTES
    body_bytes: int = BODY_BYTES
    body_bytes_total: int = BODY_BYTES_TOTAL
    connections: int = CONNECTIONS
    header_seconds: float = 10.0
    body_grace_seconds: float = 10.0
    body_bytes_per_second: int = 1024
    idle_seconds: float = 75.0
    stalled_write_seconds: float = 60.0
    linger_seconds: float = 2.0
    sweep_seconds: float = 1.0
