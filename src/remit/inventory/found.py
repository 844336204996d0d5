"""What discovery reports: a model server that was found, by what it answered and what the kernel says of it."""

from dataclasses import dataclass
from typing import Any

from remit.identity import Process
from remit.inventory.model import Model
from remit.models import ModelFile


@dataclass(frozen=True, slots=True)
class Found:
    """One model server.

    `server`, `upstream` and `reach` are as in Workload. `version` is empty when it doesn't say. `pids` are all that
    hold its socket, its oldest first; empty when the kernel doesn't show them. `uid` created the socket. `weights`
    pairs a model's name with the file whose digest is its digest: such a model stands as DIGEST_HASHING until then.
    `flags` is the digest of its launch flags.
    """

    server: str
    upstream: str
    version: str
    pids: tuple[int, ...]
    process: Process | None
    uid: int | None
    reach: str
    models: tuple[Model, ...]
    weights: tuple[tuple[str, ModelFile], ...] = ()
    notes: tuple[str, ...] = ()
    flags: str = "unknown"

    @property
    def exe(self) -> str | None:
        return self.process.exe if self.process is not None else None

    @property
    def exe_sha256(self) -> str | None:
        return self.process.exe_sha256 if self.process is not None else None

    @property
    def pid(self) -> int | None:
        """The oldest of its processes."""
        return self.pids[0] if self.pids else None

    @property
    def start(self) -> int | None:
        """When that one started; None when the kernel didn't tell."""
        return self.process.start if self.process is not None and self.process.pid == self.pid else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "server": self.server,
            "upstream": self.upstream,
            "version": self.version,
            "pids": list(self.pids),
            "uid": self.uid,
            "exe": self.exe,
            "exe_sha256": self.exe_sha256,
            "reach": self.reach,
            "models": [model.to_dict() for model in self.models],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Discovered:
    """One look around. `unread` says what could not be looked at: unknown, not absent."""

    found: tuple[Found, ...]
    unread: tuple[str, ...]
