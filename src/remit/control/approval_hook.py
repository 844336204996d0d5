"""Tells an address of the owner's that people are asked, and what they answered: ids, never arguments or names."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from remit.errors import IdentityError
from remit.identity import oidc_http

MAX_WAITING: Final = 100  # whoever doesn't take them misses the rest; the list has them all


class Hook:
    """One instance's. What can't be delivered is said once in a row, and not sent again: nothing waits for it."""

    def __init__(self, url: str, note: Callable[[str], None]) -> None:
        self._url, self._note = url, note
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_WAITING)
        self._silent = False

    def tell(self, what: dict[str, Any]) -> None:
        """Queue one; never blocks."""
        if self._url and not self._queue.full():
            self._queue.put_nowait(what)

    async def mind(self) -> None:
        """For ever: send them, one after the other."""
        while True:
            body = json.dumps(await self._queue.get()).encode()
            try:
                await asyncio.to_thread(self._send, body)
            except IdentityError as error:
                if not self._silent:
                    self._note(f"the webhook of approvals does not answer: {error}")
                self._silent = True
            else:
                self._silent = False

    def _send(self, body: bytes) -> None:
        """Raises IdentityError."""
        reply = oidc_http.send("POST", self._url, {"content-type": "application/json"}, body)
        if not 200 <= reply.status < 300:
            raise IdentityError(f"`{self._url}` answered with status {reply.status}")
