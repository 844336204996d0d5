"""A passkey and the browser around it, in memory: signs whatever a test wants it to sign."""

import base64
import hashlib
import json
import secrets
import struct
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class FakeAuthenticator:
    """One P-256 key at one origin. `count` is what it says next, and goes up by one."""

    def __init__(self, origin: str, rp: str = "localhost") -> None:
        self.origin, self.rp, self.count = origin, rp, 1
        self.id = secrets.token_bytes(16)
        self.key = ec.generate_private_key(ec.SECP256R1())

    def create(self, challenge: bytes, *, flags: int = PRESENT | VERIFIED, **said: Any) -> bytes:
        """What `navigator.credentials.create` gives, as the page sends it."""
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        data = self._data(flags | ATTESTED) + bytes(16) + struct.pack(">H", len(self.id)) + self.id
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data + cbor2.dumps(cose)})
        client = self._client("webauthn.create", challenge, said)
        return self._answer({"clientDataJSON": text(client), "attestationObject": text(attestation)})

    def get(self, challenge: bytes, *, flags: int = PRESENT | VERIFIED, **said: Any) -> bytes:
        """What `navigator.credentials.get` gives, as the page sends it."""
        client = self._client("webauthn.get", challenge, said)
        data = self._data(flags)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature)}
        )

    def _data(self, flags: int) -> bytes:
        count, self.count = self.count, self.count + 1
        return hashlib.sha256(self.rp.encode()).digest() + bytes([flags]) + struct.pack(">I", count)

    def _client(self, kind: str, challenge: bytes, said: dict[str, Any]) -> bytes:
        return json.dumps({"type": kind, "challenge": text(challenge), "origin": self.origin, **said}).encode()

    def _answer(self, response: dict[str, str]) -> bytes:
        whole = {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": response}
        return json.dumps(whole).encode()


def text(raw: bytes) -> str:
    """base64url, as WebAuthn writes it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
