"""What the log can say: one small family of records. No names of people, no prompts, no outputs, no clock.

`t` is wall time (Unix seconds), `m` the monotonic clock (seconds) of the process that writes; both come in.
The first members of each record stand in a fixed order: `verify` pairs starts with ends by them without parsing.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import orjson

from remit.errors import AuditError

if TYPE_CHECKING:  # the log's reader must run without policies and identities
    from remit.identity import Process
    from remit.policy import PolicyRef

FORMAT: Final = 1
MAX_RECORD_BYTES: Final = 64 * 1024  # ours: a record is facts, not content
PENDING_PREFIX: Final = b'{"kind":"start","outcome":"allowed","id":"'
END_PREFIX: Final = b'{"kind":"end","id":"'
CLOSED_PREFIX: Final = b'{"kind":"closed",'

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
_HOME = re.compile(r"/(?:home|Users)/[^/]+(?=/|\Z)")


@dataclass(frozen=True, slots=True)
class Header:
    """Record 0 of a shard. `writer` is its certificate as a dict; `previous` the head of the writer's last shard."""

    writer: Mapping[str, Any]
    previous: Mapping[str, Any] | None
    t: float
    m: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "header",
            "format": FORMAT,
            **self.writer,
            "previous": None if self.previous is None else dict(self.previous),
            "t": self.t,
            "m": self.m,
        }


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The calling process as the log keeps it; None is unknown. The home directory in `exe` is `~`."""

    pid: int
    uid: int
    name: str
    exe: str | None
    exe_sha256: str | None

    @classmethod
    def of(cls, process: "Process") -> "ProcessFacts":
        exe = None if process.exe is None else without_home(process.exe, process.home)
        return cls(process.pid, process.uid, process.name, exe, process.exe_sha256)

    def to_dict(self) -> dict[str, Any]:
        return {"pid": self.pid, "uid": self.uid, "name": self.name, "exe": self.exe, "exe_sha256": self.exe_sha256}


@dataclass(frozen=True, slots=True)
class Start:
    """A governed call begins, or is refused: what was known and decided before anything moved.

    `outcome` is `allowed` or `refused`. `workload` is the caller's SPIFFE ID, `person` the pseudonym of its human.
    `chain` are the workloads that its task passed through, the first first.
    `found` maps each rule that hit to the label of what it found; `body` is a keyed digest. `facts` are what else
    was decided by (ids, labels, classes; never contents), so that it can be decided again.
    """

    id: str
    outcome: str
    person: str | None
    workload: str | None
    proof: str | None
    process: ProcessFacts | None
    task: str | None
    action: str
    resource: str
    route: str
    dialect: str
    model: str | None
    model_digest: str
    policies: "tuple[PolicyRef, ...]"
    rule: str
    reason: str
    missing: str
    found: Mapping[str, str]
    policy_set: str
    epoch: int
    grade: str
    body: str
    t: float
    m: float
    chain: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "start",
            "outcome": self.outcome,
            "id": self.id,
            "t": self.t,
            "m": self.m,
            "person": self.person,
            "workload": self.workload,
            "proof": self.proof,
            "process": None if self.process is None else self.process.to_dict(),
            "task": self.task,
            "chain": list(self.chain),
            "action": self.action,
            "resource": self.resource,
            "route": self.route,
            "dialect": self.dialect,
            "model": self.model,
            "model_digest": self.model_digest,
            "policies": [
                {"id": policy.id, "file": policy.file, "line": policy.line, "reason": policy.reason}
                for policy in self.policies
            ],
            "rule": self.rule,
            "reason": self.reason,
            "missing": self.missing,
            "found": dict(self.found),
            "policy_set": self.policy_set,
            "epoch": self.epoch,
            "grade": self.grade,
            "body": self.body,
            **({"facts": dict(self.facts)} if self.facts else {}),
        }


@dataclass(frozen=True, slots=True)
class End:
    """A governed call is over. `outcome` is `done`, `broken`, `hung_up`, `timed_out`, `refused` or `cut`.

    Or `decided`: another enforcement point goes on with it, which tells no end.

    `masked` counts what was masked per rule, both ways; `duration_ms` runs from the start record.
    """

    id: str
    outcome: str
    status: int | None
    bytes_in: int
    bytes_out: int
    chunks: int
    masked: Mapping[str, int]
    duration_ms: float
    t: float
    m: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "end",
            "id": self.id,
            "outcome": self.outcome,
            "t": self.t,
            "m": self.m,
            "status": self.status,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "chunks": self.chunks,
            "masked": dict(self.masked),
            "duration_ms": self.duration_ms,
        }


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often peers of one uid (None: unknown) that could not be identified were refused in the second `second`."""

    uid: int | None
    second: int
    count: int
    reason: str
    t: float
    m: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "refusals",
            "uid": self.uid,
            "second": self.second,
            "count": self.count,
            "reason": self.reason,
            "t": self.t,
            "m": self.m,
        }


@dataclass(frozen=True, slots=True)
class Act:
    """Something control did. `what` is a dotted verb (`enrolled`, `task.started`, `credential.revoked`, …).

    `subject` is the id of what it was done to, `person` the pseudonym of who did it; `facts` are plain JSON values.
    """

    what: str
    subject: str
    person: str | None
    t: float
    m: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "act",
            "what": self.what,
            "subject": self.subject,
            "person": self.person,
            "t": self.t,
            "m": self.m,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Closed:
    """The last record of a shard that was ended on purpose; nothing may follow it."""

    t: float
    m: float

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "closed", "t": self.t, "m": self.m}


Entry = Header | Start | End | Refusals | Act | Closed


def encode(entry: Entry) -> bytes:
    """The exact bytes that are stored and hashed: ASCII JSON in one line, without NUL.

    Raises AuditError when a value is not JSON, or the record is too long.
    """
    try:
        stored = _ascii(entry.to_dict(), entry.t)
    except (TypeError, ValueError) as error:
        raise AuditError(f"a {type(entry).__name__} record can't be written as JSON: {error}") from error
    if len(stored) > MAX_RECORD_BYTES:
        raise AuditError(f"a {type(entry).__name__} record of {len(stored)} bytes is over {MAX_RECORD_BYTES}")
    return stored


def _ascii(row: dict[str, Any], t: float) -> bytes:
    """Nearly every record is ASCII as it is; the slower encoder escapes the others, and refuses what is no number."""
    with suppress(TypeError):
        stored = orjson.dumps(row)
        if stored.isascii() and isfinite(t):
            return stored
    return _ENCODER.encode(row).encode("ascii")


def without_home(path: str, home: str | None = None) -> str:
    """`path` with the home directory as `~`: its name is a person's name."""
    if home and home != "/" and (path == home or path.startswith(home.rstrip("/") + "/")):
        return "~" + path[len(home.rstrip("/")) :]
    return _HOME.sub("~", path, count=1)
