"""Finding and masking secrets in JSON values: every string of them, names too, and texts that lie in parts."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from remit.detect import Detector, Finding, KnownValues, Label
from remit.errors import ProtocolError
from remit.redaction.mask import mask, mask_pieces

MAX_STRINGS: Final = 200_000  # a 32 MiB body of short words has more; it is refused
NONE_ALLOWED: Final[frozenset[Label]] = frozenset()
_APART: Final = "\n"  # between strings that are looked at together: no rule's secret has one inside


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
        """What is in a request's body (a JSON value, or None); raises ProtocolError for one with too many strings."""
        texts = strings(value)
        if not texts or not self.detector.suspects(_APART.join(texts), self.held):
            return NOTHING
        found = dict.fromkeys((one.rule, one.label) for text in self._all(value, texts) for one in self.find(text))
        return Scan(tuple(found))

    def find(self, text: str, allowed: Collection[Label] = NONE_ALLOWED) -> tuple[Finding, ...]:
        return self.detector.scan(text, known=self.held, allowed=frozenset(allowed))

    def masked(self, value: Any, allowed: Collection[Label], counts: Counter[str]) -> Any:
        """`value` with all that is found in it masked, but for `allowed` labels; adds what was masked to `counts`."""
        if isinstance(value, str):
            return self._text(value, allowed, counts)
        if isinstance(value, list):
            return self._parts([self.masked(item, allowed, counts) for item in value], allowed, counts)
        if isinstance(value, dict):
            return {
                self._text(name, allowed, counts): self.masked(item, allowed, counts) for name, item in value.items()
            }
        return value

    def _text(self, text: str, allowed: Collection[Label], counts: Counter[str]) -> str:
        findings = self.find(text, allowed)
        counts.update(one.rule for one in findings)
        return mask(text, findings) if findings else text

    def _parts(self, items: list[Any], allowed: Collection[Label], counts: Counter[str]) -> list[Any]:
        """A text that a message holds in parts is read as one by the model: a secret over two parts is masked too."""
        places = [at for at, item in enumerate(items) if isinstance(item, dict) and isinstance(item.get("text"), str)]
        if len(places) < 2:
            return items
        texts = [items[at]["text"] for at in places]
        findings = self.find("".join(texts), allowed)
        if not findings:
            return items
        counts.update(one.rule for one in findings)
        for at, text in zip(places, mask_pieces(texts, findings), strict=True):
            items[at] = {**items[at], "text": text}
        return items

    def _all(self, value: Any, texts: list[str]) -> Iterator[str]:
        yield from texts
        yield from _joined_parts(value)


def strings(value: Any) -> list[str]:
    """Every string of a JSON value, object names too; raises ProtocolError beyond MAX_STRINGS."""
    found: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is str:
            found.append(item)
        elif type(item) is dict:
            found.extend(item)
            stack.extend(item.values())
        elif type(item) is list:
            stack.extend(item)
        if len(found) > MAX_STRINGS:
            raise ProtocolError(f"the body has more than {MAX_STRINGS} strings", status=413)
    return found


def _joined_parts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            stack.extend(item.values())
        elif type(item) is list:
            texts = [one["text"] for one in item if type(one) is dict and type(one.get("text")) is str]
            if len(texts) > 1:
                yield "".join(texts)
            stack.extend(item)
