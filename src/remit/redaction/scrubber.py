"""Finding and masking secrets in JSON values: every string of them, names too, and texts that lie in parts."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from remit.detect import Detector, Finding, KnownValues, Label
from remit.errors import ProtocolError
from remit.redaction.mask import mask, mask_pieces

MAX_STRINGS: Final = 200_000  # a 32 MiB body of short words has more; it is refused
NONE_ALLOWED: Final[frozenset[Label]] = frozenset()
_APART: Final = "\0"  # between strings that are looked at together: no rule has it inside, or between name and value


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
        looked_at = strings(value)
        if not looked_at or not self.detector.suspects(_APART.join(looked_at), self.held):
            return NOTHING
        found = dict.fromkeys((one.rule, one.label) for text in looked_at for one in self.find(text))
        return Scan(tuple(found))

    def find(self, text: str, allowed: Collection[Label] = NONE_ALLOWED) -> tuple[Finding, ...]:
        return self.detector.scan(text, known=self.held, allowed=frozenset(allowed))

    def masked(self, value: Any, allowed: Collection[Label], counts: Counter[str]) -> Any:
        """`value` with all that is found in it masked, but for `allowed` labels; adds what was masked to `counts`."""
        if isinstance(value, str):
            return self._text(value, allowed, counts)
        if isinstance(value, list):
            return [self.masked(item, allowed, counts) for item in self._parts(value, allowed, counts)]
        if isinstance(value, dict):
            return self._object(value, allowed, counts)
        return value

    def suspects(self, value: Any) -> bool:
        """Whether anything may be found in a JSON value; raises ProtocolError for one with too many strings."""
        return self.detector.suspects(_APART.join(strings(value)), self.held)

    def _object(self, value: dict[str, Any], allowed: Collection[Label], counts: Counter[str]) -> dict[str, Any]:
        """Names that are masked alike are numbered: no member may be lost."""
        masked: dict[str, Any] = {}
        for name, item in value.items():
            free = said = self._text(name, allowed, counts)
            number = 1
            while free in masked or (free != name and free in value):
                number += 1
                free = f"{said} ({number})"
            masked[free] = self.masked(item, allowed, counts)
        return masked

    def _text(self, text: str, allowed: Collection[Label], counts: Counter[str]) -> str:
        findings = self.find(text, allowed)
        counts.update(one.rule for one in findings)
        return mask(text, findings) if findings else text

    def _parts(self, items: list[Any], allowed: Collection[Label], counts: Counter[str]) -> list[Any]:
        """A text that a message holds in parts is read as one by the model: a secret over two parts is masked too.

        It goes before the parts' own masking, which would hide from it where such a secret goes on.
        """
        places = [at for at, item in enumerate(items) if isinstance(item, dict) and isinstance(item.get("text"), str)]
        if len(places) < 2:
            return items
        texts = [items[at]["text"] for at in places]
        findings = self.find("".join(texts), allowed)
        if not findings:
            return items
        counts.update(one.rule for one in findings)
        items = list(items)
        for at, text in zip(places, mask_pieces(texts, findings), strict=True):
            items[at] = {**items[at], "text": text}
        return items


def strings(value: Any) -> list[str]:
    """Every string of a JSON value, object names too, and texts in parts as the one text that a model reads.

    Raises ProtocolError beyond MAX_STRINGS.
    """
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
            if len(item) > 1:
                found.extend(_joined(item))
        if len(found) > MAX_STRINGS:
            raise ProtocolError(f"the body has more than {MAX_STRINGS} strings", status=413)
    return found


def _joined(items: list[Any]) -> tuple[str, ...]:
    texts = [one["text"] for one in items if type(one) is dict and type(one.get("text")) is str]
    return ("".join(texts),) if len(texts) > 1 else ()
