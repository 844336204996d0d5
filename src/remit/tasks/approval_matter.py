"""What an approval is asked for, as a gateway tells it and people see it, with the exact arguments. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from remit.errors import ProtocolError

MAX_SHOWN: Final = 256 * 1024  # characters of arguments: what nobody can read whole nobody can agree to
MAX_TOLD: Final = 16 * 1024  # characters of any other text
_OBJECT: Final = (dict, type(None))


@dataclass(frozen=True, slots=True)
class Matter:
    """All of it. `binding` is the intent's, hex; `needed` is `owner` or `approver`, by the policies in `by`.

    `described` names the caller without a person's name, `workload` by its SPIFFE ID; `human` answers for it, and
    `uids` are those that its process and that one's login have. `on` is the workload that is asked, `owner` whose
    what is acted on is, or empty. `thing` and `destination` are as the catalogue lists them. `provenance` tells of
    each class of arguments where its values came from, `flow` what came into the task. `outside` is true where the
    task's own lists don't have it. `arguments` are exact but for secrets, which are masked as they would be sent;
    `size` is that of the body. `wait` is for how long the caller waits, in seconds; None: as long as is usual here.
    """

    decision: str
    binding: str
    policy_set: str
    needed: str
    by: list[str]
    described: str
    workload: str
    human: str
    uids: list[int]
    chain: list[str]
    task: str | None
    action: str
    on: str
    owner: str
    route: str
    target: str
    model: str
    model_digest: str
    thing: dict[str, Any] | None
    destination: dict[str, Any] | None
    provenance: dict[str, Any] | None
    flow: dict[str, Any] | None
    found: dict[str, str]
    presence: str
    outside: bool
    arguments: str
    size: int
    wait: float | None = None

    @property
    def named(self) -> str:
        """What is acted on: the thing, or the workload."""
        return str(self.thing["id"]) if self.thing is not None else self.on.rpartition("/")[2]

    @property
    def label(self) -> str:
        """How sensitive it is, where the catalogue says."""
        return str(self.thing["label"]) if self.thing is not None else "unknown"

    def to_dict(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def shown(self) -> dict[str, Any]:
        """What people see of it. That it waits, and what it is bound to, are no part of the matter."""
        left_out = {"binding", "wait", "uids", "decision"}
        return {key: value for key, value in self.to_dict().items() if key not in left_out}

    @property
    def digest(self) -> str:
        """SHA-256 over the binding and all that is shown, hex: another matter has another one."""
        said = json.dumps([self.binding, self.shown()], sort_keys=True)
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

    def summary(self) -> dict[str, Any]:
        """What may be kept: ids and labels, never contents."""
        return {
            "action": self.action,
            "on": self.on,
            "thing": self.named,
            "label": self.label,
            "destination": None if self.destination is None else self.destination["id"],
            "route": self.route,
            "model_digest": self.model_digest,
            "outside": self.outside,
            "provenance": self.provenance,
            "size": self.size,
            "decision": self.decision,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        """Raises ProtocolError for what no sound gateway says."""
        kinds = _KINDS
        if row.keys() != kinds.keys() or not all(isinstance(row[key], kind) for key, kind in kinds.items()):
            raise ProtocolError("what an approval is asked for has other fields than it must have")
        texts = [value for key, value in row.items() if isinstance(value, str) and key != "arguments"]
        if len(row["arguments"]) > MAX_SHOWN or any(len(text) > MAX_TOLD for text in texts):
            raise ProtocolError("what an approval is asked for is longer than anybody could read")
        if row["needed"] not in {"owner", "approver"} or any(type(uid) is not int for uid in row["uids"]):
            raise ProtocolError("what an approval is asked for is not as it must be")
        return cls(**row)


_KINDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(
        (
            *(
                "decision",
                "binding",
                "policy_set",
                "needed",
                "described",
                "workload",
                "human",
                "action",
                "on",
                "owner",
            ),
            *("route", "target", "model", "model_digest", "presence", "arguments"),
        ),
        str,
    ),
    **dict.fromkeys(("by", "uids", "chain"), list),
    **dict.fromkeys(("thing", "destination", "provenance", "flow"), _OBJECT),
    "task": (str, type(None)),
    "found": dict,
    "outside": bool,
    "size": int,
    "wait": (float, int, type(None)),
}
