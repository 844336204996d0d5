"""An outside CA, and the files that it gives to Remit."""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from remit.identity import PrivateKey
from tests.identity.forge import Signed, moment

DAY = 86_400.0


@dataclass(frozen=True)
class Files:
    chain: Path
    key: Path
    roots: Path


class OutsideCa:
    """A root and what it signs. `start` is when its validity begins (Unix seconds)."""

    def __init__(self, directory: Path, now: float) -> None:
        self._directory, self._now = directory, now
        self.root = self.sign("root", None, ec.generate_private_key(ec.SECP256R1()), None)

    def sign(
        self,
        name: str,
        issuer: Signed | None,
        key: ec.EllipticCurvePrivateKey,
        constraint: str | x509.NameConstraints | None,
        *,
        ca: bool = True,
        end: float = 30 * DAY,
    ) -> Signed:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        builder = (
            x509.CertificateBuilder()
            .serial_number(x509.random_serial_number())
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .not_valid_before(moment(self._now - DAY))
            .not_valid_after(moment(self._now + end))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        above = (issuer.key if issuer else key).public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
        if isinstance(constraint, str):
            constraint = x509.NameConstraints([x509.UniformResourceIdentifier(constraint)], None)
        if constraint is not None:
            builder = builder.add_extension(constraint, critical=True)
        return Signed(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)

    def give(
        self,
        constraint: str | x509.NameConstraints | None = "example.org",
        *,
        ca: bool = True,
        end: float = 30 * DAY,
        between: str | x509.NameConstraints | None = None,
    ) -> Files:
        """A signing certificate through one more intermediate, its key, and the root, as three files."""
        middle = self.sign("middle", self.root, ec.generate_private_key(ec.SECP256R1()), between)
        key = PrivateKey.generate()
        signing = self.sign("signing", middle, key.reveal(), constraint, ca=ca, end=end)
        files = Files(*(self._directory / name for name in ("chain.pem", "key.pem", "roots.pem")))
        files.chain.write_bytes(pem(signing) + pem(middle))
        files.roots.write_bytes(pem(self.root))
        files.key.touch(0o600)
        files.key.write_bytes(key.reveal_pem())
        os.chmod(files.key, 0o600)
        return files


def pem(signed: Signed) -> bytes:
    return signed.certificate.public_bytes(serialization.Encoding.PEM)
