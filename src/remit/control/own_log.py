"""Control's own part of the log: every act of this instance, and the root key that certifies other writers."""

import time
from typing import Any

from remit.audit import Act, AuditLog, Certificate, RootKey, WriterKey, certify, shard_name
from remit.config import Places
from remit.errors import AuditError


class OwnLog:
    """Control's open shard. `act` is the port that the realm and others record through."""

    def __init__(self, log: AuditLog, root: RootKey, trust_domain: str) -> None:
        self._log, self._root, self._domain = log, root, trust_domain

    @classmethod
    def open(cls, places: Places, trust_domain: str) -> "OwnLog":
        """Begin a shard; the root key is made the first time."""
        root = RootKey.open(places.state / "audit.key", places.audit / "audit.pub", trust_domain)
        started = time.time()
        shard = shard_name("control", started)
        key = WriterKey.fresh(trust_domain, shard)
        certificate = certify(root, trust_domain, shard, key.verifier.public, started)
        log = AuditLog.open(places.audit, key, certificate, t=started, m=time.monotonic())
        return cls(log, root, trust_domain)

    @property
    def failure(self) -> AuditError | None:
        """Why it takes no more records."""
        return self._log.failure

    async def act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        """Returns when the act is durably recorded; raises AuditError when it can't be."""
        await self._log.record(Act(what, subject, person, time.time(), time.monotonic(), facts), b"")

    def certify(self, shard: str, public: bytes, started: float) -> Certificate:
        """The root key's word for another writer's key (32 raw bytes), from `started` (Unix seconds)."""
        return certify(self._root, self._domain, shard, public, started)

    def close(self) -> None:
        """End the shard with its last checkpoint; raises AuditError when that can't be written."""
        self._log.close(t=time.time(), m=time.monotonic())
