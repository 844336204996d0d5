"""Which class each argument of a tool is of, from its JSON Schema: by its format, its name, then its description.

General rules, in English; where they are wrong, an override names the class. No rule knows a tool.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from remit.errors import ProtocolError
from remit.flow.argument import DEEPEST, ArgumentClass

MOST_PARTS: Final = 65_536  # of one schema, counted each time one is come by: what refers to itself has no end
FORMATS: Final = {
    "email": ArgumentClass.RECIPIENT,
    "idn-email": ArgumentClass.RECIPIENT,
    "uri": ArgumentClass.URL,
    "uri-reference": ArgumentClass.URL,
    "iri": ArgumentClass.URL,
    "hostname": ArgumentClass.URL,
    "ipv4": ArgumentClass.URL,
    "ipv6": ArgumentClass.URL,
    "password": ArgumentClass.ACCOUNT,
}
# Words of a name, split at `_`, `-`, `.` and capitals. The first class that has one of them is the argument's.
NAMES: Final = {
    ArgumentClass.COMMAND: "command cmd script shell sql code program exec executable statement argv",
    ArgumentClass.ACCOUNT: """iban account bic swift routing wallet payee beneficiary creditor card password
        passphrase secret token credential credentials pin apikey""",
    ArgumentClass.URL: """url uri link href endpoint webhook host hostname domain site website server remote callback
        origin ip proxy""",
    ArgumentClass.RECIPIENT: """to cc bcc recipient recipients participant participants attendee attendees invitee
        invitees guest guests email emails mail user users username usernames member members assignee assignees
        channel channels room phone mobile contact contacts reviewer reviewers audience group groups team followers
        collaborator collaborators owner""",
    ArgumentClass.PATH: "path paths file files filename filenames filepath dir directory folder destination",
    ArgumentClass.AMOUNT: "amount price total quantity sum cost budget fee limit value",
    ArgumentClass.TEXT: """body content contents text message subject title description note notes comment summary
        caption name reply answer query prompt location""",
}
# A name that ends so is the number of a thing, not where something goes.
NUMBERS: Final = frozenset({"id", "ids", "index", "count", "n", "number"})
# What a description says of a name that says nothing, and of a recipient that is an account.
DESCRIPTIONS: Final = (
    (
        ArgumentClass.ACCOUNT,
        re.compile(r"\b(?:IBAN|BIC|(?:bank )?account number|wallet address|password)\b", re.IGNORECASE),
    ),
    (ArgumentClass.RECIPIENT, re.compile(r"\be-?mail address(?:es)?\b|\bphone number\b", re.IGNORECASE)),
    (ArgumentClass.URL, re.compile(r"\b(?:URL|URI|web ?site|host ?name)\b", re.IGNORECASE)),
    (ArgumentClass.COMMAND, re.compile(r"\b(?:shell command|command line|to execute)\b", re.IGNORECASE)),
    (ArgumentClass.PATH, re.compile(r"\b(?:file path|path (?:of|to)|directory)\b", re.IGNORECASE)),
)
_BREAK: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORDS: Final = tuple((kind, frozenset(words.split())) for kind, words in NAMES.items())


def classes(
    schema: Mapping[str, object], override: Mapping[str, ArgumentClass] | None = None
) -> dict[str, ArgumentClass]:
    """By pointer into the arguments, without the numbers of a list's items: `/recipients`, `/attachments/path`.

    A part that refers to itself is read twice on one path; deeper places are judged by their names. Raises
    ProtocolError for a schema that unfolds to more than MOST_PARTS.
    """
    return {**dict(_Reading(schema).places(schema, "", ())), **(override or {})}


def named_so(name: str) -> ArgumentClass | None:
    """The class that a name alone tells."""
    words = [word.lower() for word in _BREAK.split(name) if word]
    if not words or words[-1] in NUMBERS:
        return None
    return next((kind for kind, known in _WORDS if not known.isdisjoint(words)), None)


@dataclass(slots=True)
class _Reading:
    """One schema; `left` is how many parts of it may still be looked at."""

    root: Mapping[str, object]
    left: int = MOST_PARTS

    def places(
        self, schema: Mapping[str, object], pointer: str, above: tuple[int, ...]
    ) -> Iterator[tuple[str, ArgumentClass]]:
        """`above` are the parts whose properties lead here."""
        for part in self.alternatives(schema) if len(above) <= DEEPEST else ():
            inner = part.get("properties")
            if not isinstance(inner, Mapping) or above.count(id(inner)) > 1:
                continue
            for name, said in inner.items():
                if isinstance(said, Mapping):
                    place = f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
                    yield place, _class(str(name), said, self.alternatives(said))
                    yield from self.places(said, place, (*above, id(inner)))

    def alternatives(self, schema: Mapping[str, object]) -> list[Mapping[str, object]]:
        """A schema and what it is made of, each once: `$ref` within the document, `anyOf` and so on, items."""
        found = {id(schema): schema}
        waiting = [schema]
        while waiting:
            self._one_more()
            for part in _parts(self.root, waiting.pop(0)):
                if id(part) not in found:
                    found[id(part)] = part
                    waiting.append(part)
        return list(found.values())

    def _one_more(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ProtocolError(f"a tool's schema unfolds to more than {MOST_PARTS} parts")


def _parts(root: Mapping[str, object], schema: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    parts = [schema.get("items"), _referred(root, schema.get("$ref"))]
    for word in ("anyOf", "oneOf", "allOf"):
        several = schema.get(word)
        parts += several if isinstance(several, list) else []
    yield from (part for part in parts if isinstance(part, Mapping))


def _referred(root: Mapping[str, object], reference: object) -> object:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    place: object = root
    for name in reference[2:].split("/"):
        place = place.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(place, Mapping) else None
    return place


def _class(name: str, said: Mapping[str, object], parts: list[Mapping[str, object]]) -> ArgumentClass:
    if any("enum" in part or "const" in part for part in parts):
        return ArgumentClass.OTHER
    for part in parts:
        if (kind := FORMATS.get(str(part.get("format", "")))) is not None:
            return kind
    told, described = named_so(name), _described(str(said.get("description", "")))
    if told is ArgumentClass.RECIPIENT and described is ArgumentClass.ACCOUNT:
        return described
    number = name and _BREAK.split(name)[-1].lower() in NUMBERS
    return told or (described if described and not number else ArgumentClass.OTHER)


def _described(description: str) -> ArgumentClass | None:
    return next((kind for kind, told in DESCRIPTIONS if told.search(description)), None)
