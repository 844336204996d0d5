"""Who opens connections to the token endpoint and says nothing has no more than some of control's descriptors."""

import asyncio
import contextlib
import socket

from fastapi import FastAPI

from remit.control import oauth


def test_connections_beyond_the_most_are_ended_and_there_is_room_again_when_others_go() -> None:
    asyncio.run(asyncio.wait_for(crowd(), 20))


async def crowd() -> None:
    api = FastAPI(openapi_url=None)

    @api.get("/")
    async def root() -> str:
        return "here"

    sock = oauth.bind("127.0.0.1", 0)
    address = sock.getsockname()
    async with contextlib.AsyncExitStack() as stack:
        await oauth.serve(api, stack, sock)
        silent = [await asyncio.open_connection(*address) for _ in range(oauth.MAX_CONNECTIONS)]
        assert not await answered(address)
        for _, writer in silent:
            writer.close()
            await writer.wait_closed()
        while not await answered(address):
            await asyncio.sleep(0)


async def answered(address: tuple[str, int]) -> bool:
    reader, writer = await asyncio.open_connection(*address, family=socket.AF_INET)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        return b"here" in await reader.read()
    except ConnectionError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
