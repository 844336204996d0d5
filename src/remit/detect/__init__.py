"""What a secret looks like: rules as data, `Detector.scan` for whole texts, `TextStream` for texts in pieces."""

from remit.detect.catalogue import ALWAYS_MASKED, HELD, TASK_TOKEN, load_rules
from remit.detect.detector import NOTHING_HELD, Detector
from remit.detect.finding import Finding, Label
from remit.detect.known import KnownValues
from remit.detect.rule import Rule
from remit.detect.spans import unite
from remit.detect.stream import Clear, Found, Piece, TextStream

__all__ = [
    "ALWAYS_MASKED",
    "HELD",
    "NOTHING_HELD",
    "TASK_TOKEN",
    "Clear",
    "Detector",
    "Finding",
    "Found",
    "KnownValues",
    "Label",
    "Piece",
    "Rule",
    "TextStream",
    "load_rules",
    "unite",
]
