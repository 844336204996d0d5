"""Text in pieces: what comes out, joined, is what scanning the whole at once would have given.

Text is held back only while a rule may be opening in it: an anchor whose match is not decided yet, or the beginning
of an anchor at the very end. Nothing is released by time. A match that goes on is swallowed as it comes.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import attrgetter, getitem
from typing import Final

from remit.detect.anchors import Anchors, AnchorSeen
from remit.detect.finding import Finding, Label
from remit.detect.matcher import FLOOD, LEFT_CONTEXT, Matcher, Rejected, Run, after_rejected, begin
from remit.detect.spans import Span, settle, weight

SPANS_KEPT: Final = 16  # inside a match that goes on, before all but the weightiest are dropped
SLICE: Final = 1024  # characters read at once: what is found in them is gone through again for each finding


@dataclass(frozen=True, slots=True)
class Clear:
    """Text in which nothing was found."""

    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """Rule `rule` took `length` characters that stood here for a secret of sensitivity `label`."""

    rule: str
    label: Label
    length: int


Piece = Clear | Found


@dataclass(slots=True)
class Opening:
    """An anchor of `matcher` stands at `start`; whether it matches is not decided."""

    matcher: Matcher
    start: int


class TextStream:
    """One text. `feed` pieces of it in order, then `close`.

    All positions count from the beginning of `_text`, which is cut as it is settled: they may become negative.
    """

    __slots__ = (
        "_anchors",
        "_begun",
        "_busy",
        "_from",
        "_openings",
        "_rejected",
        "_resume",
        "_runs",
        "_spans",
        "_state",
        "_text",
    )

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors
        self._state = anchors.start
        self._text = ""  # what is not given out yet, after LEFT_CONTEXT characters that are
        self._from = 0  # the first character not given out
        self._busy = False  # whether openings, runs, spans or rejections are kept
        self._openings: list[Opening] = []
        self._runs: list[Run] = []
        self._spans: list[Span] = []
        self._resume: dict[Matcher, int] = {}
        self._rejected: dict[Matcher, Rejected] = {}
        self._begun: dict[Matcher, int] = {}

    def feed(self, piece: str) -> list[Piece]:
        """What can be given out now that `piece` is known; often all of it."""
        if len(piece) > SLICE:
            return [out for at in range(0, len(piece), SLICE) for out in self.feed(piece[at : at + SLICE])]
        if self._busy:
            return self._read(piece)
        try:
            state = reduce(getitem, piece, self._state)
        except AnchorSeen:
            return self._read(piece)
        text = self._text + piece
        cut = len(text) - state.depth
        clear = text[self._from : cut]
        self._state = state
        if cut > LEFT_CONTEXT:
            self._text, self._from = text[cut - LEFT_CONTEXT :], LEFT_CONTEXT
        else:
            self._text, self._from = text, cut
        return [Clear(clear)] if clear else []

    def close(self) -> list[Piece]:
        """The rest, now that nothing more comes; the stream is then as new."""
        pieces = self._settle(closed=True)
        self.__init__(self._anchors)  # type: ignore[misc] # as new
        return pieces

    def _read(self, piece: str) -> list[Piece]:
        at = len(self._text)
        self._text += piece
        for char in piece:
            at += 1
            state = self._state.get(char)
            self._state = state = self._anchors.after(self._state, char) if state is None else state
            for matcher, length in state.ended:
                insort(self._openings, Opening(matcher, at - length), key=attrgetter("start"))
        return self._settle(closed=False)

    def _settle(self, closed: bool) -> list[Piece]:
        self._follow(closed)
        self._decide(closed)
        if self._runs and len(self._spans) > SPANS_KEPT:
            self._spans = [span for span in self._spans if not self._swallowed(span)] + self._weightiest()
        horizon = min(
            len(self._text) - (0 if closed else self._state.depth),
            self._openings[0].start if self._openings else len(self._text),
            min((run.start for run in self._runs), default=len(self._text)),
        )
        pieces = list(self._give(horizon))
        self._trim()
        self._busy = bool(self._openings or self._runs or self._spans or self._rejected)
        return pieces

    def _follow(self, closed: bool) -> None:
        """Take every open run further; those that ended become spans."""
        going = []
        for run in self._runs:
            if run.follow(self._text) or closed:
                self._end(run)
            else:
                going.append(run)
        self._runs = going

    def _swallowed(self, span: Span) -> bool:
        """Whether a match that goes on covers `span`: one finding will be made of both."""
        return any(run.start <= span.start and span.end <= run.end for run in self._runs)

    def _weightiest(self) -> list[Span]:
        """Of what each run covers, the one span that may yet give the finding its name."""
        covered = [[s for s in self._spans if run.start <= s.start and s.end <= run.end] for run in self._runs]
        return list({max(spans, key=weight) for spans in covered if spans})

    def _end(self, run: Run) -> None:
        self._spans.append(run.span())
        self._resume[run.matcher] = max(run.end, run.core_end)

    def _decide(self, closed: bool) -> None:
        """Decide openings in order; a rule's first undecided one keeps its later ones waiting."""
        waiting: set[Matcher] = set()
        running = {run.matcher for run in self._runs}
        kept = []
        for opening in self._openings:
            matcher, start = opening.matcher, opening.start
            if matcher in running or start < self._resume.get(matcher, start):
                continue  # inside a match of the same rule
            if matcher in waiting or (not closed and matcher.live(self._text, start)):
                waiting.add(matcher)
                kept.append(opening)
            elif self._begin(matcher, start, closed):
                running.add(matcher)
        self._openings = kept

    def _begin(self, matcher: Matcher, start: int, closed: bool) -> bool:
        """Decide one opening; whether its match still goes on."""
        hit = matcher.match(self._text, start)
        if hit is None:
            return False
        if not hit.counts and not self._rejected.setdefault(matcher, Rejected()).too_deep(hit, start):
            self._resume[matcher] = after_rejected(hit, start)
            return False
        begun = self._begun[matcher] = self._begun.get(matcher, 0) + 1
        run = begin(matcher, hit, endless=begun > FLOOD)
        if (hit.grows or run.endless) and not run.follow(self._text) and not closed:
            self._runs.append(run)
            return True
        self._end(run)
        return False

    def _give(self, horizon: int) -> Iterator[Piece]:
        """What is settled before `horizon`: whatever is found later begins at or after it."""
        for found in settle(self._spans):
            if found.end > horizon:
                yield from self._clear(min(found.start, horizon))
                return
            yield from self._clear(found.start)
            yield Found(found.rule, found.label, found.end - found.start)
            self._pass(found)
        yield from self._clear(horizon)

    def _clear(self, end: int) -> Iterator[Piece]:
        if self._from < end:
            yield Clear(self._text[self._from : end])
            self._from = end

    def _pass(self, found: Finding) -> None:
        self._from = found.end
        self._spans = [span for span in self._spans if span.start >= found.end]

    def _trim(self) -> None:
        """Forget text that is neither to be given out nor looked at again, and count positions from the new start."""
        keep = min(
            len(self._text) - self._state.depth,
            self._openings[0].start if self._openings else len(self._text),
            min((max(run.core_end, run.seen) for run in self._runs), default=len(self._text)),
            self._from if not self._runs and not self._spans else len(self._text),
        )
        by = keep - LEFT_CONTEXT
        if by <= 0:
            return
        self._text = self._text[by:]
        self._from -= by
        for opening in self._openings:
            opening.start -= by
        for run in self._runs:
            run.shift(by)
        self._spans = [span._replace(start=span.start - by, end=span.end - by) for span in self._spans]
        self._rejected = {
            m: Rejected(last.end - by, last.depth) for m, last in self._rejected.items() if last.end > by
        }
        self._resume = {matcher: at - by for matcher, at in self._resume.items() if at > by}
