"""The intent: what one request asks for, with what the detector found in it."""

import enum
import hashlib
from dataclasses import dataclass, field

from remit.detect import Label
from remit.identity import Caller, SpiffeId


class Action(enum.StrEnum):
    """What a request can ask of a model server; each is a Cedar action of the same name."""

    INFER = "infer"
    EMBED = "embed"
    LIST = "list"
    HEALTH = "health"
    ADMINISTER = "administer"
    DISCLOSE = "disclose"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is asked. `route` is `METHOD /pattern`; `found` maps each rule that hit to its label.

    `body_sha256` is the raw digest of the bytes that would be forwarded before masking; the log keeps
    only a keyed digest of it.
    """

    caller: Caller
    action: Action
    resource: SpiffeId
    route: str
    dialect: str
    model: str | None
    model_digest: str
    stream: bool
    found: tuple[tuple[str, Label], ...]
    body_sha256: bytes
    model_approved: bool = False
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        parts = (
            str(self.caller.spiffe_id),
            self.caller.proof,
            self.caller.task or "",
            self.action,
            str(self.resource),
            self.route,
            self.model or "",
            self.model_digest,
            "approved" if self.model_approved else "",
            ",".join(rule for rule, _ in self.found),
        )
        # A model's name is the client's text: it may hold any separator, and half of a surrogate pair.
        lengths = ",".join([str(len(part)) for part in parts]) + ";"
        said = "".join((lengths, *parts)).encode("utf-8", "surrogatepass")
        object.__setattr__(self, "digest", hashlib.sha256(said + self.body_sha256).digest())
