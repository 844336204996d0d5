"""A transport that sends at once what is written within one turn of the event loop: gRPC writes thrice an answer."""

import asyncio
from asyncio import BaseTransport
from typing import Any, cast


def gathered(transport: BaseTransport) -> BaseTransport:
    """`transport`, written to once a turn: each write is a system call, and wakes who reads."""
    return cast("BaseTransport", _Gathered(cast("asyncio.Transport", transport)))


class _Gathered:
    """All but writing and closing is the transport's own."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)

    def close(self) -> None:
        """What was written before is still sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        data, self._pieces = b"".join(self._pieces), []
        if data and not self._transport.is_closing():
            self._transport.write(data)
