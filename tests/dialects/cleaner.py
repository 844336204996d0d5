"""A slow, obvious cleaner for tests: it masks one known text and holds back whatever could be its beginning."""

import itertools
from collections.abc import Sequence

from remit.gateway.dialects import StreamReader, cleaned
from remit.gateway.dialects.stream import Cleanable

MASK = "[masked]"


class FakeCleaner:
    """Masks every occurrence of `secret`, also across pieces of one running text."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.masked = False
        self.held: dict[str, str] = {}

    def feed(self, key: str, text: str) -> str:
        text = self.whole(self.held.pop(key, "") + text)
        for size in range(min(len(self.secret) - 1, len(text)), 0, -1):
            if self.secret.startswith(text[-size:]):
                self.held[key] = text[-size:]
                return text[:-size]
        return text

    def close(self, key: str) -> str:
        return self.held.pop(key, "")

    def whole(self, text: str) -> str:
        self.masked = self.masked or self.secret in text
        return text.replace(self.secret, MASK)


def run(reader: StreamReader, stream: bytes, cleaner: FakeCleaner, cuts: tuple[int, ...] = ()) -> bytes:
    """`stream`, cut at `cuts`, as a caller would get it."""
    out = b""
    edges = (0, *cuts, len(stream))
    for start, end in itertools.pairwise(edges):
        out += passed(reader.feed(stream[start:end]), cleaner)
    return out + passed(reader.close(), cleaner)


def passed(events: Sequence[Cleanable], cleaner: FakeCleaner) -> bytes:
    return b"".join(cleaned(event, cleaner) for event in events)
