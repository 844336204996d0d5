"""What came into a task decides what may go out: its mark, and where the values of a call's arguments came from."""

from remit.flow.argument import DESTINATIONS, ArgumentClass, Value
from remit.flow.flow import Argument, Flow, standings
from remit.flow.mark import Mark
from remit.flow.origin import VOUCHED, Origin, best
from remit.flow.schema import classes
from remit.flow.transcript import Transcript
from remit.flow.values import values

__all__ = [
    "DESTINATIONS",
    "VOUCHED",
    "Argument",
    "ArgumentClass",
    "Flow",
    "Mark",
    "Origin",
    "Transcript",
    "Value",
    "best",
    "classes",
    "standings",
    "values",
]
