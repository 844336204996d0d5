"""The intent: what one request asks for, with what the detector found in it."""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from remit.detect import Label
from remit.identity import Caller, SpiffeId
from remit.policy.circumstances import NONE, Circumstances
from remit.policy.thing import Thing


class Action(enum.StrEnum):
    """What can be asked; each is a Cedar action of the same name. SERVER are those of a model server."""

    INFER = "infer"
    EMBED = "embed"
    LIST = "list"
    HEALTH = "health"
    ADMINISTER = "administer"
    DISCLOSE = "disclose"
    SAMPLE = "sample"
    ELICIT = "elicit"
    CALL_TOOL = "call_tool"
    REGISTER_TOOL = "register_tool"
    RETRIEVE = "retrieve"
    READ_RESOURCE = "read_resource"
    GET_PROMPT = "get_prompt"
    EXPORT = "export"
    USE_CREDENTIAL = "use_credential"
    DEPLOY_MODEL = "deploy_model"
    APPROVE = "approve"


SERVER: Final = (Action.INFER, Action.EMBED, Action.LIST, Action.HEALTH, Action.ADMINISTER, Action.DISCLOSE)


@dataclass(frozen=True, slots=True)
class Intent:
    """What is asked. `route` is `METHOD /pattern`; `found` maps each rule that hit to its label.

    `resource` is the workload that is asked; `thing` is what it is asked for, where that is no workload itself: the
    snapshot's own, never the caller's word. `arguments` are a tool call's, as JSON has them. `body_sha256` is the raw
    digest of the bytes that would be forwarded before masking; the log keeps only a keyed digest of it.
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
    thing: Thing | None = None
    circumstances: Circumstances = NONE
    arguments: Mapping[str, object] | None = None
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
            "" if self.thing is None else f"{self.thing.kind} {self.thing.id}",
            "" if self.circumstances is NONE else repr(self.circumstances),
            "" if self.arguments is None else json.dumps(self.arguments, sort_keys=True),
        )
        # A model's name is the client's text: it may hold any separator, and half of a surrogate pair.
        lengths = ",".join([str(len(part)) for part in parts]) + ";"
        said = "".join((lengths, *parts)).encode("utf-8", "surrogatepass")
        object.__setattr__(self, "digest", hashlib.sha256(said + self.body_sha256).digest())
