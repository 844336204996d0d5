"""Finding and masking secrets in JSON values: every string of them, names too, and texts that lie in parts."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from remit.detect import Detector, Finding, KnownValues, Label
from remit.errors import ProtocolError
from remit.redaction.masking import Masking
from remit.redaction.texts import BETWEEN, strings

MAX_SUSPECTS: Final = 20_000  # strings that each need a closer look, about 10 µs; a body with more is refused
NONE_ALLOWED: Final[frozenset[Label]] = frozenset()
_APART: Final = "\0"  # between strings that are looked at together
_TOGETHER: Final = (65_536, 2_048)  # characters looked at together, to tell suspect strings from the others


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in a value: each rule that hit, once, with its label. `suspect` is true when any was."""

    found: tuple[tuple[str, Label], ...]

    @property
    def suspect(self) -> bool:
        return bool(self.found)


NOTHING: Final = Scan(())


class Scrubber:
    """One detector and the values that this zone holds. `hold` replaces them."""

    def __init__(self, detector: Detector, held: KnownValues | None = None) -> None:
        self.detector = detector
        self.held = held or KnownValues()

    def hold(self, held: KnownValues) -> None:
        self.held = held

    def request(self, value: Any) -> Scan:
        """What is in a request's body (a JSON value, or None).

        Raises ProtocolError for one with too many strings, or too many that may be secrets.
        """
        suspects = self._suspects(strings(value))
        if not suspects:
            return NOTHING
        spelt = (one for text in suspects for one in dict.fromkeys((text, text.partition(BETWEEN)[2] or text)))
        return Scan(tuple(dict.fromkeys((one.rule, one.label) for text in spelt for one in self.find(text))))

    def find(self, text: str, allowed: Collection[Label] = NONE_ALLOWED) -> tuple[Finding, ...]:
        return self.detector.scan(text, known=self.held, allowed=frozenset(allowed))

    def masked(self, value: Any, allowed: Collection[Label], counts: Counter[str]) -> Any:
        """`value` with all that is found in it masked, but for `allowed` labels; adds what was masked to `counts`.

        Raises ProtocolError as `request` does.
        """
        suspects = self._suspects(strings(value))
        if not suspects:
            return value
        return Masking(partial(self.find, allowed=frozenset(allowed)), set(suspects), counts).value(value)

    def suspects(self, value: Any) -> bool:
        """Whether anything may be found in a JSON value; raises ProtocolError for one with too many strings."""
        return self._may_hold(strings(value))

    def _suspects(self, texts: list[str]) -> list[str]:
        """Those of `texts` in which something may be found."""
        if not texts or not self.detector.suspects(_APART.join(texts), self.held):
            return []
        for size in _TOGETHER:
            texts = [text for some in _grouped(texts, size) if self._may_hold(some) for text in some]
        texts = [text for text in texts if self._may_hold([text])]
        if len(texts) > MAX_SUSPECTS:
            raise ProtocolError(f"the body has more than {MAX_SUSPECTS} strings that may be secrets", status=413)
        return texts

    def _may_hold(self, texts: list[str]) -> bool:
        return self.detector.suspects(_APART.join(texts), self.held)


def _grouped(texts: list[str], size: int) -> Iterator[list[str]]:
    """`texts` in order, in groups of about `size` characters."""
    group: list[str] = []
    length = 0
    for text in texts:
        group.append(text)
        length += len(text)
        if length >= size:
            yield group
            group, length = [], 0
    if group:
        yield group
