"""A workload that asks the Workload API: `python -m bench.workload SOCKET fetch|connect|hold COUNT`.

`fetch` asks again and again over one connection, `connect` over a new one each time; both print the milliseconds of
each as one JSON list. `hold` opens that many connections with one stream each, prints how many gave an SVID, and
keeps them until its standard input ends.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from grpclib.client import Channel, Stream, UnaryStreamMethod

from remit.identity.spiffe_proto import message_type

REQUEST, REPLY = message_type("X509SVIDRequest"), message_type("X509SVIDResponse")


async def opened(stack: AsyncExitStack, channel: Channel) -> tuple[Stream[Any, Any], int]:
    """A stream of X.509-SVIDs, and how many of them its first answer has."""
    method = UnaryStreamMethod(channel, "/SpiffeWorkloadAPI/FetchX509SVID", REQUEST, REPLY)
    stream: Stream[Any, Any] = await stack.enter_async_context(method.open(metadata={"workload.spiffe.io": "true"}))
    await stream.send_message(REQUEST(), end=True)
    answer = await stream.recv_message()
    return stream, 0 if answer is None else len(answer.svids)


async def fetch(path: str, rounds: int, *, anew: bool) -> list[float]:
    """Milliseconds from the question to the answer; with `anew` from before the connection."""
    taken = []
    channel = Channel(path=path)
    for _ in range(rounds):
        begun = time.perf_counter()
        if anew:
            channel.close()
            channel = Channel(path=path)
        async with AsyncExitStack() as stack:
            stream, svids = await opened(stack, channel)
            taken.append((time.perf_counter() - begun) * 1000)
            if svids != 1:
                raise RuntimeError(f"{svids} SVIDs instead of one")
            await stream.cancel()
    channel.close()
    return taken


async def hold(path: str, streams: int) -> None:
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(Channel(path=path)) for _ in range(streams)]
        got = [(await opened(stack, channel))[1] for channel in channels]
        print(json.dumps(sum(got)), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        stack.pop_all()  # the process ends, and all of it with it


def main(path: str, what: str, count: int) -> None:
    if what == "hold":
        asyncio.run(hold(path, count))
    else:
        print(json.dumps(asyncio.run(fetch(path, count, anew=what == "connect"))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
