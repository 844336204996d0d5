"""One walk over a JSON value that masks what is found in it. Only strings that are suspect are looked at again."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from remit.detect import Finding, unite
from remit.redaction.mask import mask, mask_pieces
from remit.redaction.texts import beside, in_parts, named, naming

Find = Callable[[str], tuple[Finding, ...]]


@dataclass(frozen=True, slots=True)
class Masking:
    """Masks what `find` finds in `suspects` (as `texts.strings` spells them), and counts it by rule."""

    find: Find
    suspects: set[str]
    counts: Counter[str]

    def value(self, value: Any, name: str | None = None) -> Any:
        """`value`, which is called `name` where it stands, masked."""
        if isinstance(value, str):
            return self._text(value, name)
        if isinstance(value, list):
            return [self.value(item, called) for item, called in named(self._parts(value), name)]
        if isinstance(value, dict):
            return self._object(value)
        return value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        """Names that are masked alike are numbered: no member may be lost."""
        masked: dict[str, Any] = {}
        names = naming(value) or {}
        for name, item in value.items():
            free = said = self._name(name, item)
            number = 1
            while free in masked or (free != name and free in value):
                number += 1
                free = f"{said} ({number})"
            masked[free] = self.value(self._named_by_another(name, item, names.get(name)), name)
        return masked

    def _named_by_another(self, name: str, item: Any, own: str | None) -> Any:
        """`item`, masked as what `own` names; what is left of it is still to be looked at as what `name` names."""
        if own is None or beside(own, item) not in self.suspects:
            return item
        masked = self._text(item, own)
        self.suspects.add(beside(name, masked))
        return masked

    def _name(self, name: str, item: Any) -> str:
        spelt = beside(name, item) if isinstance(item, str) else name
        return self._masked(name, self.find(name)) if spelt in self.suspects else name

    def _text(self, text: str, name: str | None) -> str:
        if name is None:
            return self._masked(text, self.find(text)) if text in self.suspects else text
        if beside(name, text) not in self.suspects:
            return text
        return self._masked(text, in_place(self.find, name, text))

    def _masked(self, text: str, findings: Iterable[Finding]) -> str:
        findings = tuple(findings)
        self.counts.update(one.rule for one in findings)
        return mask(text, findings) if findings else text

    def _parts(self, items: list[Any]) -> list[Any]:
        """A text that a message holds in parts is read as one by the model: a secret over two parts is masked too.

        It goes before the parts' own masking, which would hide from it where such a secret goes on.
        """
        places = in_parts(items)
        texts = [items[at]["text"] for at in places]
        if not places or "".join(texts) not in self.suspects:
            return items
        findings = self.find("".join(texts))
        self.counts.update(one.rule for one in findings)
        items = list(items)
        for at, text in zip(places, mask_pieces(texts, findings), strict=True):
            items[at] = {**items[at], "text": text}
            self.suspects.add(beside("text", text))
        return items


def in_place(find: Find, name: str, text: str) -> tuple[Finding, ...]:
    """What is found in `text`, alone or because it is called `name`: then all of it, if it is one word."""
    alone = find(text)
    lead = len(beside(name, ""))
    by_name = [
        replace(one, start=max(one.start - lead, 0), end=one.end - lead)
        for one in find(beside(name, text))
        if one.end > lead
    ]
    if by_name and by_name[0].start == 0 and not (alone and alone[0].start == 0) and not any(map(str.isspace, text)):
        by_name = [replace(by_name[0], end=len(text))]
    return unite((*alone, *by_name))
