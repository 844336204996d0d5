"""One process that opens very many calls: `python -m tests.identity.greedy_client SOCKET CONNECTIONS STREAMS`.

Opens STREAMS FetchX509Bundles streams over CONNECTIONS connections, keeps them open, and prints how each fared as one
JSON line: a count for each status. Ends when its standard input does.
"""

import asyncio
import json
import sys
from collections import Counter
from contextlib import AsyncExitStack

from grpclib import GRPCError
from grpclib.client import Channel, UnaryStreamMethod
from grpclib.exceptions import StreamTerminatedError

from remit.identity.spiffe_proto import message_type


async def open_one(stack: AsyncExitStack, channel: Channel) -> str:
    method = UnaryStreamMethod(
        channel,
        "/SpiffeWorkloadAPI/FetchX509Bundles",
        message_type("X509BundlesRequest"),
        message_type("X509BundlesResponse"),
    )
    try:
        stream = await stack.enter_async_context(method.open(metadata={"workload.spiffe.io": "true"}))
        await stream.send_message(message_type("X509BundlesRequest")(), end=True)
        if await stream.recv_message() is None:
            await stream.recv_trailing_metadata()
    except GRPCError as error:
        return f"{error.status.name}: {error.message}"
    except (StreamTerminatedError, OSError, AttributeError):  # the last is how grpclib meets a closed connection
        return "connection closed"
    return "open"


async def one_connection(stack: AsyncExitStack, path: str, streams: int) -> list[str]:
    channel = await stack.enter_async_context(Channel(path=path))
    return [await open_one(stack, channel) for _ in range(streams)]


async def main(path: str, connections: int, streams: int) -> None:
    async with AsyncExitStack() as stack:
        fates: Counter[str] = Counter()
        for _ in range(connections):
            fates.update(await one_connection(stack, path, streams // connections))
        print(json.dumps(fates), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        sys.stdout.flush()
        stack.pop_all()  # the process ends, and all of it with it


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
