"""What has flowed through one task so far: how sensitive, from where, and what was done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from remit.detect import Label
from remit.flow.argument import ArgumentClass, Value
from remit.flow.mark import Mark
from remit.flow.origin import Origin, best
from remit.flow.transcript import Transcript
from remit.flow.values import values

MOST_DONE: Final = 1_024  # names of actions and tools: more are not kept apart, and then `everything` is among them
EVERYTHING: Final = "everything"


@dataclass(frozen=True, slots=True)
class Argument:
    """One value, and where it was heard; its standing is the best of that."""

    value: Value
    origins: frozenset[Origin]

    @property
    def standing(self) -> Origin:
        return best(self.origins)


@dataclass(slots=True)
class Flow:
    """One task's. Nothing in it goes down or is forgotten, but text for which there is no room."""

    mark: Mark = field(default_factory=Mark)
    transcript: Transcript = field(default_factory=Transcript)
    done: set[str] = field(default_factory=set)

    def heard(self, text: str, origin: Origin, label: Label = Label.PUBLIC) -> None:
        """A prompt or a result came in. Content from outside makes the task untrusted."""
        self.mark = self.mark.raised(label)
        if origin is Origin.UNTRUSTED:
            self.mark = self.mark.raised(Label.UNTRUSTED)
        self.transcript.hear(text, origin)

    def did(self, *names: str) -> None:
        """An action, or a tool by its name, that was allowed."""
        for name in names:
            self.done.add(name if len(self.done) < MOST_DONE else EVERYTHING)

    def listed(self, entries: Iterable[str], origin: Origin) -> None:
        """The entries of a source that names things: members, addresses, accounts. Each counts as a whole only."""
        for entry in entries:
            self.transcript.listed(entry, origin)

    def arguments(self, arguments: object, classes: Mapping[str, ArgumentClass]) -> list[Argument]:
        return [
            Argument(value, self.transcript.origins(value.text, value.kind)) for value in values(arguments, classes)
        ]


def standings(arguments: list[Argument]) -> dict[Origin, frozenset[ArgumentClass]]:
    """`context.args` of a decision: the classes that have a value of each standing."""
    return {origin: frozenset(one.value.kind for one in arguments if one.standing is origin) for origin in Origin}
