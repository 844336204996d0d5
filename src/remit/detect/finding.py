"""What the detector reports: a rule's hit in a text, and how sensitive what it found is."""

import enum
from dataclasses import dataclass


class Label(enum.StrEnum):
    """Data sensitivity, least first; `untrusted` marks content from outside and is not on that scale."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text[start:end]` (in characters) is what rule `rule` takes for a secret of sensitivity `label`."""

    rule: str
    label: Label
    start: int
    end: int
