"""How long until the next look around: seldom as a rule, soon and then ever later once a server was lost."""

import asyncio
from typing import Final

SOON_SECONDS: Final = 1.0
RULE_SECONDS: Final = 15.0


class Pace:
    """The waits between looks: `rule` seconds; after `hurry` `soon` seconds, doubled each time up to `rule`."""

    def __init__(self, soon: float = SOON_SECONDS, rule: float = RULE_SECONDS) -> None:
        self._soon, self._rule = soon, rule
        self.seconds = rule
        """How long the wait under way, or the next one, takes."""
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Look soon; a wait that is under way begins anew."""
        self.seconds = self._soon
        self._hurried.set()

    async def over(self) -> None:
        """Return when it is time to look."""
        while True:
            self._hurried.clear()
            try:
                async with asyncio.timeout(self.seconds):
                    await self._hurried.wait()
            except TimeoutError:
                self.seconds = min(2 * self.seconds, self._rule)
                return
