"""What can be acted on besides workloads: tools, sources, destinations, credentials, models. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.detect import Label
from remit.flow import ArgumentClass

UNKNOWN: Final = "unknown"  # the id of what no catalogue lists, of each kind
RANKS: Final[Mapping[str, int]] = {
    Label.PUBLIC.value: 0,
    Label.INTERNAL.value: 1,
    Label.CONFIDENTIAL.value: 2,
    Label.RESTRICTED.value: 3,
}


class ThingKind(enum.StrEnum):
    """Each is a Cedar entity type of the same name."""

    TOOL = "Tool"
    SOURCE = "Source"
    DESTINATION = "Destination"
    CREDENTIAL = "Credential"
    MODEL = "Model"
    RESOURCE = "Resource"
    SUBJECT = "Subject"
    TASK = "Task"


# What is so of a thing that nobody described: the strictest.
_STRICTEST: Final[Mapping[ThingKind, Mapping[str, Any]]] = {
    ThingKind.TOOL: {"server": "", "side_effects": True, "known": False},
    ThingKind.SOURCE: {"trusted": False, "known": False},
    ThingKind.DESTINATION: {"clearance": 0, "internal": False, "known": False},
    ThingKind.CREDENTIAL: {"known": False},
    ThingKind.MODEL: {"approved": False, "known": False},
    ThingKind.RESOURCE: {"facts": [], "known": False},
    ThingKind.SUBJECT: {"facts": [], "known": False},
    ThingKind.TASK: {},
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One of them. `owner` is a person's name, or empty. `attributes` are its kind's own; unsaid, the strictest.

    `classes` say where a tool's schema is wrong or silent: the class of an argument, by its pointer (RFC 6901).
    """

    kind: ThingKind
    id: str
    owner: str = ""
    environment: str = ""
    label: str = Label.RESTRICTED.value
    attributes: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, ArgumentClass] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.id

    def to_entity(self) -> dict[str, Any]:
        """As Cedar's entity."""
        common = {
            "owner": {"__entity": {"type": "Human", "id": self.owner}},
            "environment": self.environment,
            "label": self.label,
        }
        attributes = {**common, **_STRICTEST[self.kind], **self.attributes}
        return {"uid": {"type": self.kind.value, "id": self.id}, "attrs": attributes, "parents": []}

    @classmethod
    def unknown(cls, kind: ThingKind) -> "Thing":
        """What stands for all that nobody listed."""
        return cls(kind, UNKNOWN)


NAMED: Final = tuple(kind for kind in ThingKind if kind is not ThingKind.TASK)  # a task is nobody's to list
EVERY_UNKNOWN: Final = tuple(Thing.unknown(kind) for kind in ThingKind)
