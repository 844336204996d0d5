"""When it is looked again: soon after a loss, then ever later."""

import asyncio

from remit.control.pace import Pace


def test_looks_come_soon_after_a_loss_and_then_ever_later() -> None:
    async def main() -> None:
        pace = Pace(soon=0.001, rule=0.005)
        waits = []
        pace.hurry()
        for _ in range(5):
            waits.append(pace.seconds)
            await pace.over()
        assert waits == [0.001, 0.002, 0.004, 0.005, 0.005]

    asyncio.run(main())


def test_a_long_wait_under_way_is_cut_short() -> None:
    async def main() -> None:
        pace = Pace(soon=0.001, rule=3600.0)
        waiting = asyncio.create_task(pace.over())
        await asyncio.sleep(0)
        pace.hurry()
        async with asyncio.timeout(5):
            await waiting

    asyncio.run(main())
