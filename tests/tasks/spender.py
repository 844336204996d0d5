"""A worker of the tests: a process that spends from its slice in many calls at once, and asks control for more."""

import asyncio
import json
import os
import sys

from remit.tasks.budget import NOTHING, Slice, Spent

CALL = Spent(calls=1, tokens=30)  # before a call the most that it may take is taken


def tell(line: dict[str, dict[str, int]]) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")  # at once: two threads tell


async def main(calls: int) -> None:
    """Each line to control asks or tells, each line from it answers, in order. What is used is told at once."""
    held, mutex = Slice(), asyncio.Lock()
    loop = asyncio.get_running_loop()

    def ask(line: dict[str, dict[str, int]]) -> dict[str, int]:
        tell(line)
        answer: dict[str, int] = json.loads(sys.stdin.readline())
        return answer

    async def call(number: int) -> int:
        while not held.take(CALL):
            async with mutex:
                given = Spent(**await loop.run_in_executor(None, ask, {"reserve": Spent(3, 90).to_dict()}))
            if given == NOTHING:
                return 0
            held.add(given)
        await asyncio.sleep(0)
        tell({"ran": {}})
        held.untake(Spent(tokens=number % 7))
        return 1

    await asyncio.gather(*(call(number) for number in range(calls)))
    used, back = held.settle()
    tell({"used": used.to_dict(), "back": back.to_dict()})


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
