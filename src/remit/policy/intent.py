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
    ACCESS = "access"  # what an enforcement point asks in its own words


SERVER: Final = (Action.INFER, Action.EMBED, Action.LIST, Action.HEALTH, Action.ADMINISTER, Action.DISCLOSE)


@dataclass(frozen=True, slots=True)
class Intent:
    """What is asked. `route` is `METHOD /pattern`; `found` maps each rule that hit to its label.

    `resource` is the workload that is asked; `thing` is what it is asked for, where that is no workload itself: the
    snapshot's own, never the caller's word. `arguments` are a tool call's, as JSON has them. `target` is the path
    with its names, and the query, as they would be forwarded. `body_sha256` is the raw digest of the bytes that would
    be forwarded before masking; the log keeps only a keyed digest of it. `digest` is of all of it.
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
    target: str = ""
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        caller = self.caller
        parts = (
            *self._bound(),
            caller.proof,
            caller.enrolled,
            caller.exhaustive,
            self.dialect,
            self.stream,
            "" if self.circumstances == NONE else repr(self.circumstances),
        )
        object.__setattr__(self, "digest", hashlib.sha256(_said(parts) + self.body_sha256).digest())

    @property
    def binding(self) -> bytes:
        """What an approval is of: who asks for what, with what in it, which came from where, to go where.

        Not the hour, who is there or what was done before: those change while a person reads, and are decided anew.
        """
        so = self.circumstances
        flow = None if so.flow is None else (so.flow.high, so.flow.untrusted)
        parts = (
            *self._bound(),
            repr(so.args),
            repr(flow),
            so.destination or "",
            so.zone,
            repr(so.chain),
            repr(so.access),
        )
        return hashlib.sha256(_said(parts) + self.body_sha256).digest()

    def _bound(self) -> tuple[object, ...]:
        caller, thing = self.caller, self.thing
        return (
            caller.spiffe_id,
            caller.human,
            caller.task or "",
            self.action.value,
            self.resource,
            self.route,
            self.target,
            self.model or "",
            self.model_digest,
            self.model_approved,
            ",".join(f"{rule}={label}" for rule, label in self.found),
            "" if thing is None else f"{thing.kind} {thing.id}",
            "" if self.arguments is None else json.dumps(self.arguments, sort_keys=True),
        )


def _said(parts: tuple[object, ...]) -> bytes:
    """All of them, told apart: a model's name is the client's text, and may hold any separator and half a pair."""
    words = [str(part) for part in parts]
    lengths = ",".join([str(len(word)) for word in words]) + ";"
    return "".join((lengths, *words)).encode("utf-8", "surrogatepass")
