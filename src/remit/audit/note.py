"""C2SP signed notes and tlog checkpoints: what a shard's head is, and how other people's tools can read it."""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remit.errors import AuditError

_ED25519: Final = b"\x01"  # C2SP signed-note: signature type 0x01
_NAME = re.compile(r"[^\s+]+\Z")  # C2SP signed-note: a key name has no space and no plus
_NOTE = re.compile(r"([^\s+]+)\n(0|[1-9]\d{0,17})\n([A-Za-z0-9+/]{43}=)\n\n— (\S+) ([A-Za-z0-9+/=]+)\n\n*")


@dataclass(frozen=True, slots=True)
class Head:
    """The state of one log at one moment: `size` records with Merkle root `root`. `origin` names the log."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """The text that is signed (C2SP tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n".encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """An Ed25519 public key and the name it signs under: a C2SP vkey, `NAME+HASH+BASE64` in one line."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Raises AuditError that says what is wrong with `text`."""
        name, _, rest = text.strip().partition("+")
        stated, _, encoded = rest.partition("+")
        try:
            raw = unb64(encoded)
        except ValueError:
            raw = b""
        if len(raw) != 33 or raw[:1] != _ED25519 or _NAME.match(name) is None:
            raise AuditError(
                "this is not an audit public key",
                hint="it is one line, `NAME+HASH+BASE64`, as `audit.pub` in the audit directory has it",
            )
        key = cls(name, raw[1:])
        if key.hash.hex() != stated:
            raise AuditError(f"audit public key `{name}` does not match its own hash", hint="copy `audit.pub` again")
        return key

    @property
    def hash(self) -> bytes:
        """The four bytes that stand for this key in a signature line (C2SP signed-note)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.hash.hex()}+{b64(_ED25519 + self.public)}"

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head with its signature, not yet checked against any key."""

    head: Head
    signature: bytes

    def note(self, key: VerifierKey) -> str:
        """The standard signed note; `key` is the one that signed."""
        return f"{self.head.body().decode()}\n— {key.name} {b64(key.hash + self.signature)}\n"


def parse_notes(data: bytes) -> list[SignedHead]:
    """All signed notes in `data`, one after another. Raises AuditError when anything else is in it."""
    hint = "give the file that `remit audit export --heads` wrote"
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise AuditError("the checkpoint file is not text", hint=hint) from error
    heads: list[SignedHead] = []
    at = len(text) - len(text.lstrip("\n"))
    while at < len(text):
        match = _NOTE.match(text, at)
        if match is None:
            raise AuditError(f"the checkpoint file is not a list of signed notes from character {at} on", hint=hint)
        heads.append(_signed_head(match, hint))
        at = match.end()
    if not heads:
        raise AuditError("the checkpoint file is empty", hint=hint)
    return heads


def _signed_head(match: re.Match[str], hint: str) -> SignedHead:
    origin, size, root, _, signature = match.groups()
    try:
        return SignedHead(Head(origin, int(size), unb64(root)), unb64(signature)[4:])
    except ValueError as error:
        raise AuditError(f"the checkpoint of `{origin}` is not base64", hint=hint) from error


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes:
    """Strict base64: raises ValueError also for padding bits that another encoder would not have written."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if b64(raw) != text:
        raise ValueError("base64 is not canonical")
    return raw
