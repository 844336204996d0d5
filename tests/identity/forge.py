"""Certificates and tokens as an attacker, or a careless authority, would make them."""

import base64
import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = 1_790_000_000.0
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
BOTH_SIDES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def certificate(
    uris: Iterable[str],
    issuer: Signed | None = None,
    *,
    authority: bool = False,
    usages: Iterable[str] | None = None,
    usage_critical: bool = True,
    purposes: Iterable[x509.ObjectIdentifier] = (),
    curve: ec.EllipticCurve | None = None,
    start: float = -60,
    end: float = 3600,
    path_length: int | None = None,
    unknown_critical: bool = False,
    nameless: bool = False,
) -> Signed:
    """A certificate with exactly what the arguments say; `start` and `end` are seconds from NOW."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    serial = x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{x509.random_serial_number():x}")
    name = x509.Name([] if nameless else [serial])
    signer = issuer.key if issuer else key
    on = set(usages) if usages is not None else {"key_cert_sign"} if authority else {"digital_signature"}
    builder = (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .not_valid_before(moment(NOW + start))
        .not_valid_after(moment(NOW + end))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(x509.KeyUsage(**{usage: usage in on for usage in USAGES}), critical=usage_critical)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    builder = builder.add_extension(x509.SubjectAlternativeName(names or [x509.DNSName("a.example")]), critical=False)
    if tuple(purposes):
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if unknown_critical:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return Signed(builder.sign(signer, hashes.SHA256()), key)


def moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token(key: ec.EllipticCurvePrivateKey, header: Any, claims: Any) -> str:
    """An ES256 JWS over whatever `header` and `claims` are: text is taken as it is, the rest as JSON."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    signing_input = ".".join(segment(part.encode()) for part in parts)
    r, s = utils.decode_dss_signature(key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{segment(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
