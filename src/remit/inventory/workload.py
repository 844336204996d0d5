"""What runs here and who answers for it: humans, models and workloads, one record type each."""

import enum
from dataclasses import dataclass, field
from typing import Any

from remit.detect import Label
from remit.identity import SpiffeId
from remit.inventory.model import Binding, Model


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


class LifeState(enum.StrEnum):
    """Where a workload is in its life; `lifecycle.py` is the table of how it moves on. Only an active one acts."""

    DISCOVERED = "discovered"
    OWNED = "owned"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Human:
    """One person. `person` is the pseudonym used in the log; `uids` are the Unix accounts that act for them.

    `login` is their account at an OpenID provider (issuer and subject), once they have logged in (`login_binding`).
    """

    name: str
    person: str
    uids: tuple[int, ...]
    login: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        login = list(self.login) if self.login else None
        return {"name": self.name, "person": self.person, "uids": list(self.uids), "login": login}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Human":
        """A row that says nothing of a login is from before people could log in."""
        login = row.get("login")
        return cls(row["name"], row["person"], tuple(row["uids"]), (login[0], login[1]) if login else None)


@dataclass(frozen=True, slots=True)
class Workload:
    """One enrolled workload.

    `server` names its route profile (`llama.cpp`, `ollama`, `vllm`, `lmstudio`, `openai`).
    `upstream` is `http://HOST:PORT` or `unix:/PATH`. `reach` is `private`, `loopback`, `lan` or `all`.
    `bindings` are the identities that its models must have, also of those that it doesn't offer now.
    `selectors` attest its process, named as SPIRE's unix attestor names them (`unix:uid:1000`). `start` is that
    process's start (clock ticks since boot): with `pid` it names the process once.
    `credential` names the secret that Remit holds for it, if any. `demonstration` marks Remit's own model server.
    `owner` is empty only while it is merely discovered. `state` has been its place in its life since `state_since`;
    `review_due` is when its owner must look at it again, or None (both Unix seconds).
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
    bindings: tuple[Binding, ...] = ()
    state: LifeState = LifeState.ACTIVE
    state_since: float = 0.0
    purpose: str = ""
    vendor: str = ""
    data_sets: tuple[str, ...] = ()
    zone: str = "inference"
    review_due: float | None = None

    @property
    def active(self) -> bool:
        """Whether it may be called, call others and get SVIDs."""
        return self.state is LifeState.ACTIVE

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
            "bindings": [binding.to_dict() for binding in self.bindings],
            "state": self.state.value,
            "state_since": self.state_since,
            "purpose": self.purpose,
            "vendor": self.vendor,
            "data_sets": list(self.data_sets),
            "zone": self.zone,
            "review_due": self.review_due,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Workload":
        """A row that says nothing of its life is from before there was a lifecycle: it was in force."""
        return cls(
            **{
                **row,
                "spiffe_id": SpiffeId.parse(row["spiffe_id"]),
                "kind": Kind(row["kind"]),
                "capabilities": tuple(Capability(name) for name in row["capabilities"]),
                "models": tuple(Model.from_dict(model) for model in row["models"]),
                "label": Label(row["label"]),
                "selectors": tuple(row["selectors"]),
                "bindings": tuple(Binding.from_dict(binding) for binding in row.get("bindings", ())),
                "state": LifeState(row.get("state", LifeState.ACTIVE)),
                "data_sets": tuple(row.get("data_sets", ())),
            }
        )
