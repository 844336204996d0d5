"""The keys of the log: the root key that people trust, the writers' keys it certifies, the key that hides digests."""

import hmac
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit.note import VerifierKey, b64, unb64
from remit.errors import StateError

SEED_BYTES: Final = 32
_CONTEXT: Final = "remit-audit-writer/v1"  # keeps a certificate from being anything else that this key signs


class _Signer:
    """An Ed25519 private key with its name. Its repr shows the public half only."""

    __slots__ = ("_private", "verifier")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.verifier = VerifierKey(name, private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.verifier}>"

    def __reduce__(self) -> Any:
        raise TypeError("a signing key is not pickled")


class RootKey(_Signer):
    """The one key a verifier must know: it signs nothing but writers' certificates."""

    @classmethod
    def open(cls, key_file: Path, public_file: Path, trust_domain: str) -> "RootKey":
        """Read the key, or make it the first time (mode 0600, atomically); write `public_file` beside the log.

        Raises StateError when the file is not a key, or readable by others.
        """
        seed = open_seed(key_file)
        root = cls(f"{trust_domain}/audit", Ed25519PrivateKey.from_private_bytes(seed))
        _write_public(public_file, f"{root.verifier}\n")
        return root


class WriterKey(_Signer):
    """One writer's key for one shard. Made in the process that writes, and never leaves it."""

    @classmethod
    def fresh(cls, trust_domain: str, shard: str) -> "WriterKey":
        return cls(origin_of(trust_domain, shard), Ed25519PrivateKey.generate())


@dataclass(frozen=True, slots=True)
class Certificate:
    """The root key's word that `public` (32 raw bytes) writes `shard` from `started` (Unix seconds, to the ms)."""

    trust_domain: str
    shard: str
    public: bytes
    started: float
    signature: bytes

    @property
    def origin(self) -> str:
        return origin_of(self.trust_domain, self.shard)

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(self.origin, self.public)

    def signed_by(self, root: VerifierKey) -> bool:
        return root.signed(_certified(self.trust_domain, self.shard, self.public, self.started), self.signature)

    def to_dict(self) -> dict[str, Any]:
        return {
            "trust_domain": self.trust_domain,
            "shard": self.shard,
            "key": b64(self.public),
            "started": self.started,
            "certificate": b64(self.signature),
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "Certificate":
        """Raises KeyError, TypeError or ValueError when `row` is not one."""
        return cls(
            str(row["trust_domain"]),
            str(row["shard"]),
            unb64(row["key"]),
            float(row["started"]),
            unb64(row["certificate"]),
        )


def certify(root: RootKey, trust_domain: str, shard: str, public: bytes, started: float) -> Certificate:
    """Certify a writer's public key, so that a worker never holds the root key."""
    started = round(started, 3)
    signature = root.sign(_certified(trust_domain, shard, public, started))
    return Certificate(trust_domain, shard, public, started, signature)


def origin_of(trust_domain: str, shard: str) -> str:
    """The C2SP origin of a shard, and the name of its key."""
    return f"{trust_domain}/audit/{shard}"


class DigestKey:
    """Keys the digests of guessable values (invariant 9): without it nobody can try prompts against the log."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def open(cls, key_file: Path) -> "DigestKey":
        """Read the key, or make it the first time; raises StateError as `RootKey.open` does."""
        return cls(open_seed(key_file))

    def digest(self, value: bytes) -> str:
        """`hmac-sha256:<hex>` of `value`."""
        return "hmac-sha256:" + hmac.digest(self._key, value, "sha256").hex()

    def pseudonym(self, name: str) -> str:
        """A stable stand-in for a person's name."""
        return "p-" + hmac.digest(self._key, b"person\x00" + name.encode(), sha256).hex()[:16]

    def __repr__(self) -> str:
        return "<DigestKey>"


def open_seed(key_file: Path) -> bytes:
    """32 secret bytes from `key_file`, made there first if need be. Two starts at once agree on one."""
    try:
        key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not key_file.exists():
            _create_seed(key_file)
        return _read_seed(key_file)
    except OSError as error:
        raise StateError(
            f"key file `{key_file}` can't be used: {error.strerror}", hint="check who owns the state directory"
        ) from error


def _create_seed(key_file: Path) -> None:
    draft = key_file.with_name(f".{key_file.name}.{token_hex(8)}.new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, token_bytes(SEED_BYTES))
        os.fsync(fd)
        os.link(draft, key_file)  # unlike rename, it does not replace a key that another start has just made
    except FileExistsError:
        return
    finally:
        os.close(fd)
        draft.unlink(missing_ok=True)
    sync_directory(key_file.parent)


def _read_seed(key_file: Path) -> bytes:
    fd = os.open(key_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        seed = os.read(fd, SEED_BYTES + 1)
    finally:
        os.close(fd)
    if mode & 0o077:
        raise StateError(f"key file `{key_file}` can be read by others", hint=f"chmod 600 {key_file}")
    if len(seed) != SEED_BYTES:
        raise StateError(
            f"`{key_file}` is not a key: it has {len(seed)} bytes, not {SEED_BYTES}",
            hint="restore it from a backup; a new key can't vouch for the old log",
        )
    return seed


def _write_public(public_file: Path, line: str) -> None:
    try:
        if public_file.exists() and public_file.read_text() == line:
            return
        public_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = public_file.with_name(f".{public_file.name}.{token_hex(8)}.new")
        draft.write_text(line)
        draft.replace(public_file)
    except OSError as error:
        raise StateError(f"`{public_file}` can't be written: {error.strerror}") from error


def sync_directory(directory: Path) -> None:
    """Make a created or renamed name durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _certified(trust_domain: str, shard: str, public: bytes, started: float) -> bytes:
    return f"{_CONTEXT}\n{origin_of(trust_domain, shard)}\n{b64(public)}\n{started:.3f}\n".encode()
