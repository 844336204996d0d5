"""A place to keep a log in, and short ways to make what goes into it."""

import time
from pathlib import Path

import pytest

from remit.audit import AuditLog, RootKey, Verdict, WriterKey, certify, shard_name
from remit.audit.verify import verify
from tests.audit.records import NOW, TRUST_DOMAIN


class Book:
    """One audit directory with its root key. `open` starts a writer's next shard, one second after the last."""

    def __init__(self, place: Path) -> None:
        self.directory = place / "audit"
        self.root = RootKey.open(place / "keys" / "audit.key", self.directory / "audit.pub", TRUST_DOMAIN)
        self.now = NOW

    def open(self, writer: str = "inference-0") -> AuditLog:
        self.now += 1
        shard = shard_name(writer, self.now)
        key = WriterKey.fresh(TRUST_DOMAIN, shard)
        certificate = certify(self.root, TRUST_DOMAIN, shard, key.verifier.public, self.now)
        return AuditLog.open(self.directory, key, certificate, t=self.now, m=time.monotonic())

    def close(self, log: AuditLog) -> None:
        self.now += 1
        log.close(t=self.now, m=time.monotonic())

    def verify(self, checkpoint: bytes | None = None) -> Verdict:
        return verify(self.directory, self.root.verifier, checkpoint, self.now)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)
