"""What is written within one turn of the loop goes out at once, in order, and nothing of it is lost by closing."""

import asyncio
from typing import Any, cast

from remit.identity.gathered import gathered


class FakeTransport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def of(transport: FakeTransport) -> Any:
    return gathered(cast("asyncio.BaseTransport", transport))


def test_three_writes_of_one_turn_are_one() -> None:
    async def play() -> list[bytes]:
        end = FakeTransport()
        transport = of(end)
        for piece in (b"a", b"b", b"c"):
            transport.write(piece)
        assert end.written == []
        await asyncio.sleep(0)
        transport.write(b"d")
        await asyncio.sleep(0)
        return end.written

    assert asyncio.run(play()) == [b"abc", b"d"]


def test_what_was_written_before_the_end_is_sent_and_nothing_after_it() -> None:
    async def play() -> FakeTransport:
        end = FakeTransport()
        transport = of(end)
        transport.write(b"last words")
        transport.close()
        transport.write(b"too late")
        await asyncio.sleep(0)
        assert transport.is_closing()
        return end

    end = asyncio.run(play())
    assert (end.written, end.closed) == ([b"last words"], True)
