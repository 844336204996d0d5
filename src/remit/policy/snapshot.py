"""The Snapshot: all that a gateway worker decides by, whole and versioned. Control makes it, workers take it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.inventory import Human, Workload
from remit.policy.emergency import Emergency
from remit.tasks import Task


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One policy file as it was read: `name` is relative to the policy directory."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of what is in force. `issued` is Unix seconds, `lifetime` seconds.

    `epoch` only rises. `policy_warning` says why a newer edit of the policies is not in force, or is empty.
    `x509_authorities` are DER certificates, `jwt_authorities` a JWKS, both of the trust domain. `issuer` is what its
    access tokens name as theirs; empty: it has none. `emergency` is break-glass while it is open.
    `facts` are the true ones of the endpoint; `presence` is by a human's name, and nobody who isn't there is known to
    be here. `observing`: policies are not enforced.
    """

    epoch: int
    issued: float
    lifetime: float
    trust_domain: str
    grade: str
    policy_files: tuple[PolicyFile, ...]
    policy_set: str
    policy_warning: str
    humans: tuple[Human, ...]
    workloads: tuple[Workload, ...]
    tasks: tuple[Task, ...]
    x509_authorities: tuple[bytes, ...]
    jwt_authorities: dict[str, Any]
    issuer: str = ""
    emergency: Emergency | None = None
    facts: tuple[str, ...] = ()
    presence: Mapping[str, str] = field(default_factory=dict)
    observing: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "issued": self.issued,
            "lifetime": self.lifetime,
            "trust_domain": self.trust_domain,
            "grade": self.grade,
            "policy_files": [[file.name, file.text] for file in self.policy_files],
            "policy_set": self.policy_set,
            "policy_warning": self.policy_warning,
            "humans": [human.to_dict() for human in self.humans],
            "workloads": [workload.to_dict() for workload in self.workloads],
            "tasks": [task.to_dict() for task in self.tasks],
            "x509_authorities": [base64.b64encode(der).decode() for der in self.x509_authorities],
            "jwt_authorities": self.jwt_authorities,
            "issuer": self.issuer,
            "emergency": None if self.emergency is None else self.emergency.to_dict(),
            "facts": list(self.facts),
            "presence": dict(self.presence),
            "observing": self.observing,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Snapshot":
        return cls(
            **{
                **row,
                "policy_files": tuple(PolicyFile(name, text) for name, text in row["policy_files"]),
                "humans": tuple(Human.from_dict(human) for human in row["humans"]),
                "workloads": tuple(Workload.from_dict(workload) for workload in row["workloads"]),
                "tasks": tuple(Task.from_dict(task) for task in row["tasks"]),
                "x509_authorities": tuple(base64.b64decode(der) for der in row["x509_authorities"]),
                "emergency": Emergency(**row["emergency"]) if row.get("emergency") is not None else None,
                "facts": tuple(row.get("facts", ())),
            }
        )
