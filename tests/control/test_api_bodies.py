"""What is sent to the control API is read before anybody is admitted: no more of it than anybody could mean."""

import asyncio
from pathlib import Path

from remit.control import api
from remit.control.desk import Desk
from remit.control.uvicorn_server import MAX_BODY_BYTES

HEAD = b"POST /tasks HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"


class NobodyAsks(Desk):
    """A desk that nothing reaches."""

    def __init__(self) -> None: ...


def test_a_body_that_says_it_is_too_long_is_refused(tmp_path: Path) -> None:
    said = HEAD + b"content-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)
    assert asyncio.run(answered(tmp_path, said)).startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_end_is_refused_while_it_comes(tmp_path: Path) -> None:
    piece = b"%x\r\n%s\r\n" % (1 << 14, b" " * (1 << 14))
    said = HEAD + b"transfer-encoding: chunked\r\n\r\n" + piece * (MAX_BODY_BYTES // (1 << 14) + 1)
    assert asyncio.run(answered(tmp_path, said)).startswith(b"HTTP/1.1 413")


async def answered(place: Path, said: bytes) -> bytes:
    end = await api.serve(api.build(NobodyAsks()), place / "api.sock")
    reader, writer = await asyncio.open_unix_connection(place / "api.sock")
    try:
        writer.write(said)
        async with asyncio.timeout(10):
            return await reader.readline()
    finally:
        writer.close()
        await end()


def test_one_uid_has_its_share_of_connections_and_gets_it_back(tmp_path: Path) -> None:
    async def flood() -> tuple[int, bytes]:
        end = await api.serve(api.build(NobodyAsks()), tmp_path / "api.sock")
        lines = [await asyncio.open_unix_connection(tmp_path / "api.sock") for _ in range(api.MAX_OF_ONE_UID + 20)]
        try:
            await asyncio.sleep(0)
            ended = [reader for reader, _ in lines if await _ends(reader)]
            for _, writer in lines:
                writer.close()
            await asyncio.sleep(0.1)
            return len(ended), await _once_more(tmp_path)
        finally:
            for _, writer in lines:
                writer.close()
            await end()

    refused, said = asyncio.run(flood())
    assert refused == 20
    assert said.startswith(b"HTTP/1.1 404")


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.005):
            return await reader.read(1) == b""
    except TimeoutError:
        return False


async def _once_more(place: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(place / "api.sock")
    writer.write(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n")
    async with asyncio.timeout(10):
        said = await reader.readline()
    writer.close()
    return said
