"""A P-256 private key whose repr hides it: of the trust domain's authority, or of one SVID."""

from typing import final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remit.errors import IdentityError


@final
class PrivateKey:
    """Python can't wipe memory: keep it in a process that can't be dumped. Never serialised by accident."""

    __slots__ = ("_key",)

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "PrivateKey":
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> "PrivateKey":
        """Parse an unencrypted PKCS#8 PEM; raises IdentityError for anything but a P-256 key."""
        try:
            key = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise IdentityError("the private key is not an unencrypted PEM key") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise IdentityError("the private key is not a P-256 key")
        return cls(key)

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def reveal(self) -> ec.EllipticCurvePrivateKey:
        """The key itself, for the signing call that needs it."""
        return self._key

    def reveal_pem(self) -> bytes:
        """PKCS#8 PEM, unencrypted: for an owner-only file."""
        return self._export(serialization.Encoding.PEM)

    def reveal_der(self) -> bytes:
        """PKCS#8 DER, unencrypted: for the workload that the key belongs to."""
        return self._export(serialization.Encoding.DER)

    def _export(self, encoding: serialization.Encoding) -> bytes:
        return self._key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a PrivateKey is never serialised; reveal it where it is used")
