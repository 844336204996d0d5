"""What control and a gateway worker say to each other: one type a message.

ARCHITECTURE.md says what each is for; `link_json.py` is the one way to JSON and back, `frames.py` the wire.
"""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remit.config import GatewaySettings
from remit.identity import SpiffeId
from remit.policy.changes import Changes
from remit.policy.intent import Action
from remit.policy.snapshot import Snapshot
from remit.secret import Secret


class DoorKind(enum.StrEnum):
    TCP = "tcp"
    TLS = "tls"
    UNIX = "unix"


class Skin(enum.StrEnum):
    """What is spoken at a door."""

    SERVER = "server"  # what the guarded server behind it speaks
    AUTHZEN = "authzen"
    EXT_AUTHZ = "ext_authz"


@dataclass(frozen=True, slots=True)
class Welcome:
    """The first message to a new worker: what doesn't change in its life. `digest_key` is hex.

    `points` are the callers whose word about others is taken.
    """

    zone: str
    trust_domain: str
    audit_dir: Path
    cache_dir: Path
    digest_key: Secret
    settings: GatewaySettings
    points: tuple[SpiffeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Certify:
    """Asks for the certificate of a fresh shard key. `public` is 32 raw bytes, `started` Unix seconds."""

    shard: str
    public: bytes
    started: float


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate asked for, as `audit` writes and reads it."""

    certificate: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can be briefed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker can't start."""

    why: str


@dataclass(frozen=True, slots=True)
class InForce:
    """The Snapshot to decide by from now on."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Ack:
    """The epoch in force at the worker."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Secrets:
    """All that the zone holds, by name."""

    held: dict[str, Secret]


@dataclass(frozen=True, slots=True)
class Svid:
    """The gateway's SVID: chain and key as OpenSSL takes them."""

    pem: Secret


@dataclass(frozen=True, slots=True)
class Listen:
    """A door of `workload`, or of the zone itself; its listening socket's descriptor comes beside the message."""

    workload: SpiffeId
    kind: DoorKind
    url: str
    skin: Skin = Skin.SERVER


@dataclass(frozen=True, slots=True)
class Eyes:
    """To look at other users' processes through: that many lines to the attestor, whose descriptors come beside."""

    lines: int


@dataclass(frozen=True, slots=True)
class Serving:
    """The door is open."""

    url: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal, for the owner's terminal."""

    decision: str
    message: str
    rule: str
    action: Action
    workload: SpiffeId


@dataclass(frozen=True, slots=True)
class Observed:
    """So many calls went through that the rule would have refused, were it enforced; `newest` is a decision's id."""

    rule: str
    action: Action
    workload: SpiffeId
    number: int
    newest: str


@dataclass(frozen=True, slots=True)
class LogFailed:
    """The worker's log takes no more records: no call goes through."""

    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """To what a worker asked under this number."""

    ask: int
    what: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """Words of a task's human, over a channel that proves it."""

    task: str
    text: Secret


@dataclass(frozen=True, slots=True)
class Reserve:
    """Asks for as much of a task's budget, for this worker to spend; the answer has the `amount` that there was."""

    ask: int
    task: str
    wanted: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settle:
    """What was used of what this worker holds of a task's budget, and what it gives back."""

    task: str
    used: dict[str, Any]
    back: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Raise:
    """More sensitive data, or something from outside, came into a task: the answer says that it is kept."""

    ask: int
    task: str
    high: str
    untrusted: bool


@dataclass(frozen=True, slots=True)
class AskPeople:
    """Something takes an approval: the answer is one, a refusal, or the id of what waits for one."""

    ask: int
    asked: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nobody waits any more for the answer to `ask`."""

    ask: int


FromControl = Welcome | Certified | InForce | Changes | Secrets | Svid | Listen | Eyes | Answer | Said
Asking = Reserve | Raise | AskPeople
FromWorker = Certify | Ready | Failed | Ack | Serving | Refused | Observed | LogFailed | Asking | Settle | Withdrawn
Message = FromControl | FromWorker

FROM_CONTROL: Final[dict[str, type[FromControl]]] = {
    "welcome": Welcome,
    "certificate": Certified,
    "snapshot": InForce,
    "changes": Changes,
    "secrets": Secrets,
    "svid": Svid,
    "listen": Listen,
    "eyes": Eyes,
    "answer": Answer,
    "said": Said,
}
FROM_WORKER: Final[dict[str, type[FromWorker]]] = {
    "certify": Certify,
    "ready": Ready,
    "failed": Failed,
    "ack": Ack,
    "serving": Serving,
    "refused": Refused,
    "observed": Observed,
    "log_failed": LogFailed,
    "reserve": Reserve,
    "settle": Settle,
    "raise": Raise,
    "ask_people": AskPeople,
    "withdrawn": Withdrawn,
}
MESSAGES: Final[dict[str, type[Message]]] = {**FROM_CONTROL, **FROM_WORKER}
_NAMES: Final[dict[type[Message], str]] = {kind: name for name, kind in MESSAGES.items()}


def name_of(message: Message) -> str:
    """The message's `type` on the wire."""
    return _NAMES[type(message)]
