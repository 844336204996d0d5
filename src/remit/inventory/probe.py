"""Asking a listener one question, bounded; how the question travels is the business of whoever gives the Probe."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from remit.errors import RemitError

MAX_REPLY_BYTES: Final = 1 << 20  # Ollama's list takes about 400 bytes a model
LISTENER_SECONDS: Final = 1.5  # for all questions to one listener together


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. Header names are lower case; `body` is at most MAX_REPLY_BYTES long, and may be cut there."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON when the status is 200, else None. Never raises: the server may be hostile."""
        return _parsed(self.body) if self.status == 200 else None

    def error(self) -> Any:
        """The body as JSON when the server refused for want of a key, else None."""
        return _parsed(self.body) if self.status in {401, 403} else None


class Probe(Protocol):
    """Sends `GET target` without credentials to `address` (`http://HOST:PORT` or `unix:/PATH`).

    Answers None when nothing answers, or not in HTTP. Reads no more than MAX_REPLY_BYTES of body, follows no
    redirect, and gives up its connection when cancelled.
    """

    async def __call__(self, address: str, target: str, /) -> Answer | None: ...


async def ask(probe: Probe, address: str, target: str) -> Answer | None:
    """The answer to one question, or None; a server that answers too much has answered nothing usable."""
    try:
        answer = await probe(address, target)
    except (RemitError, OSError):
        return None
    if answer is None or len(answer.body) > MAX_REPLY_BYTES:
        return None
    return answer


async def interview(probe: Probe, address: str, first: str, rest: tuple[str, ...]) -> tuple[dict[str, Answer], bool]:
    """What `address` answers, by target, and whether it let its time run out.

    Only a listener that answers the first question in HTTP is asked the others, all at once.
    """
    answers: dict[str, Answer] = {}

    async def put(target: str) -> None:
        answer = await ask(probe, address, target)
        if answer is not None:
            answers[target] = answer

    try:
        async with asyncio.timeout(LISTENER_SECONDS):
            await put(first)
            if answers:
                await asyncio.gather(*(put(target) for target in rest))
    except TimeoutError:
        return answers, True  # what came in time counts
    return answers, False


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
