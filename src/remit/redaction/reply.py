"""Cleaning answers: running text by key as it comes, whole texts and whole JSON values at once."""

from collections import Counter
from collections.abc import Hashable
from typing import Any

from remit.detect import Clear, Piece, TextStream
from remit.policy import Permit
from remit.redaction.clean import allowed_by
from remit.redaction.mask import mark
from remit.redaction.scrubber import Scrubber


class ReplyText:
    """The texts of one answer. `counts` is what was masked so far, by rule."""

    def __init__(self, scrubber: Scrubber, permit: Permit) -> None:
        self._scrubber, self._allowed = scrubber, allowed_by(permit)
        self._streams: dict[Hashable, TextStream] = {}
        self.counts: Counter[str] = Counter()

    @property
    def masked(self) -> bool:
        return bool(self.counts)

    def feed(self, key: Hashable, text: str) -> str:
        """What of the running text `key` can be given out, now that `text` has come."""
        stream = self._streams.get(key)
        if stream is None:
            scrubber = self._scrubber
            stream = self._streams[key] = scrubber.detector.stream(known=scrubber.held, allowed=self._allowed)
        return self._given(stream.feed(text))

    def close(self, key: Hashable) -> str:
        """What is left of `key`, whose text is complete; a later `feed` begins it anew."""
        stream = self._streams.pop(key, None)
        return "" if stream is None else self._given(stream.close())

    def whole(self, text: str) -> str:
        """A text that is complete in itself."""
        masked: str = self._scrubber.masked(text, self._allowed, self.counts)
        return masked

    def json(self, value: Any) -> Any:
        """A whole JSON answer."""
        if not self._scrubber.suspects(value):
            return value
        return self._scrubber.masked(value, self._allowed, self.counts)

    def _given(self, pieces: list[Piece]) -> str:
        if len(pieces) == 1 and type(pieces[0]) is Clear:
            return pieces[0].text
        out = []
        for piece in pieces:
            if isinstance(piece, Clear):
                out.append(piece.text)
            else:
                self.counts[piece.rule] += 1
                out.append(mark(piece.rule))
        return "".join(out)
