"""A model as a server offers it: its digests, the files they were taken from, and what the server is bound to."""

from dataclasses import dataclass
from typing import Any, Final

from remit.models import FileState, ModelIdentity

DIGEST_UNKNOWN: Final = "unknown"
DIGEST_HASHING: Final = "unknown (hashing)"

Watched = tuple[tuple[str, FileState], ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model by the name its server uses. `digest`: its weights' `sha256:<hex>`, or DIGEST_UNKNOWN, DIGEST_HASHING.

    `path` is the weights' file where it is known. `identity` is all that was established of it, None until then.
    `watched` are the files that were read for it, each as it was: when one is otherwise, its digests are of the past.
    `at_load` marks digests of files that the kernel doesn't show loaded any more, as on a GPU.
    """

    name: str
    digest: str = DIGEST_UNKNOWN
    path: str | None = None
    identity: ModelIdentity | None = None
    watched: Watched = ()
    at_load: bool = False

    def to_log(self) -> dict[str, Any]:
        """For the audit log: no paths, which tell people's names."""
        whole = {"identity": self.identity.digest} if self.identity is not None else {}
        return {"name": self.name, "digest": self.digest, "path": None, **whole}

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "digest": self.digest,
            "path": self.path,
            "identity": None if self.identity is None else self.identity.to_dict(),
            "watched": [[path, list(state)] for path, state in self.watched],
            "at_load": self.at_load,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Model":
        """A row from before models had identities says three things of them."""
        identity = row.get("identity")
        return cls(
            row["name"],
            row["digest"],
            row["path"],
            None if identity is None else ModelIdentity.from_dict(identity),
            tuple((path, FileState(*state)) for path, state in row.get("watched", ())),
            row.get("at_load", False),
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """The identity that a workload's model must have. `approved`: its owner said so; else it was seen first."""

    model: str
    identity: ModelIdentity
    approved: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"model": self.model, "identity": self.identity.to_dict(), "approved": self.approved}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Binding":
        return cls(row["model"], ModelIdentity.from_dict(row["identity"]), row["approved"])
