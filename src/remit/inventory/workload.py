"""What runs here and who answers for it: humans, models and workloads, one record type each."""

import enum
from dataclasses import dataclass, field
from typing import Any, Final

from remit.detect import Label
from remit.identity import SpiffeId

DIGEST_UNKNOWN: Final = "unknown"
DIGEST_HASHING: Final = "unknown (hashing)"


class Kind(enum.StrEnum):
    MODEL_SERVER = "model_server"
    AGENT = "agent"
    TOOL_SERVER = "tool_server"
    RETRIEVER = "retriever"
    PIPELINE = "pipeline"


class Capability(enum.StrEnum):
    """What a workload can do; decides how it is governed, wherever it runs."""

    ACT = "act"
    STORE = "store"
    DISCLOSE = "disclose"


@dataclass(frozen=True, slots=True)
class Human:
    """One person. `person` is the pseudonym used in the log; `uids` are the Unix accounts that act for them."""

    name: str
    person: str
    uids: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "person": self.person, "uids": list(self.uids)}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Human":
        return cls(row["name"], row["person"], tuple(row["uids"]))


@dataclass(frozen=True, slots=True)
class Model:
    """A model by the name its server uses. `digest` is `sha256:<hex>`, or one of DIGEST_UNKNOWN, DIGEST_HASHING.

    `path` is the weights' file where it is known.
    """

    name: str
    digest: str = DIGEST_UNKNOWN
    path: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "digest": self.digest, "path": self.path}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Model":
        return cls(row["name"], row["digest"], row["path"])


@dataclass(frozen=True, slots=True)
class Workload:
    """One enrolled workload.

    `server` names its route profile (`llama.cpp`, `ollama`, `vllm`, `lmstudio`, `openai`).
    `upstream` is `http://HOST:PORT` or `unix:/PATH`. `reach` is `private`, `loopback`, `lan` or `all`.
    `selectors` attest its process, named as SPIRE's unix attestor names them (`unix:uid:1000`). `start` is that
    process's start (clock ticks since boot): with `pid` it names the process once.
    `credential` names the secret that Remit holds for it, if any. `demonstration` marks Remit's own model server.
    """

    spiffe_id: SpiffeId
    name: str
    kind: Kind
    owner: str
    server: str
    upstream: str
    reach: str
    capabilities: tuple[Capability, ...]
    models: tuple[Model, ...] = ()
    environment: str = "dev"
    label: Label = Label.INTERNAL
    selectors: tuple[str, ...] = ()
    pid: int | None = None
    uid: int | None = None
    exe: str | None = None
    exe_sha256: str | None = None
    credential: str | None = None
    demonstration: bool = False
    found: str = "discovered"
    enrolled_at: float = field(default=0.0)
    start: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "spiffe_id": str(self.spiffe_id),
            "name": self.name,
            "kind": self.kind.value,
            "owner": self.owner,
            "server": self.server,
            "upstream": self.upstream,
            "reach": self.reach,
            "capabilities": [capability.value for capability in self.capabilities],
            "models": [model.to_dict() for model in self.models],
            "environment": self.environment,
            "label": self.label.value,
            "selectors": list(self.selectors),
            "pid": self.pid,
            "uid": self.uid,
            "exe": self.exe,
            "exe_sha256": self.exe_sha256,
            "credential": self.credential,
            "demonstration": self.demonstration,
            "found": self.found,
            "enrolled_at": self.enrolled_at,
            "start": self.start,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Workload":
        return cls(
            **{
                **row,
                "spiffe_id": SpiffeId.parse(row["spiffe_id"]),
                "kind": Kind(row["kind"]),
                "capabilities": tuple(Capability(name) for name in row["capabilities"]),
                "models": tuple(Model.from_dict(model) for model in row["models"]),
                "label": Label(row["label"]),
                "selectors": tuple(row["selectors"]),
            }
        )
