"""A program that asks as Envoy does: `python -m tests.envoy.asker SOCKET [shared]`.

It prints one answer's status for each line that it reads. `shared`: another program holds its connection too.
"""

import asyncio
import subprocess
import sys

from grpclib.client import Channel, UnaryUnaryMethod

from remit.gateway.decisions.ext_authz_proto import METHOD, SERVICE, message_type


async def main(socket: str, shared: bool) -> None:
    async with Channel(path=socket) as channel:
        held = (await channel.__connect__()).connection._transport.get_extra_info("socket").fileno()
        other = subprocess.Popen(["sleep", "60"], pass_fds=(held,)) if shared else None
        kinds = message_type("CheckRequest"), message_type("CheckResponse")
        ask = UnaryUnaryMethod(channel, f"/{SERVICE}/{METHOD}", *kinds)
        try:
            while await asyncio.to_thread(sys.stdin.readline):
                answer = await ask(kinds[0]())
                print(answer.denied_response.status.code, flush=True)
        finally:
            if other is not None:
                other.kill()
                other.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], "shared" in sys.argv))
