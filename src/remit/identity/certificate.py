"""The two certificates that an authority makes: its own, and a workload's (X509-SVID standard, sections 3 to 5)."""

import base64
import datetime
import hashlib
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from remit.identity.private_key import PrivateKey
from remit.identity.spiffe_id import SpiffeId

BACKDATE: Final = 660.0  # seconds before now that validity starts: a verifier's clock may be 10 minutes behind ours
MAX_COMMON_NAME: Final = 64  # characters (X.520, ub-common-name)

# Indexed as x509.KeyUsage's arguments are: every usage that is not named here is off.
_NO_USAGE: Final = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}
_SIGNS_CERTIFICATES: Final = x509.KeyUsage(**{**_NO_USAGE, "key_cert_sign": True, "crl_sign": True})
_SIGNS_DATA: Final = x509.KeyUsage(**{**_NO_USAGE, "digital_signature": True})
_BOTH_SIDES: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def authority_certificate(spiffe_id: SpiffeId, key: PrivateKey, now: float, ttl: float) -> x509.Certificate:
    """A self-signed signing certificate of the trust domain, good for `ttl` seconds from `now` (Unix seconds)."""
    serial = x509.random_serial_number()
    # The serial in the name tells apart the authorities of one trust domain while they are rotated.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Remit"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{serial:x}"),
        ]
    )
    builder = (
        _builder(spiffe_id, key.public, now, ttl, serial)
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public), critical=False)
    )
    return builder.sign(key.reveal(), hashes.SHA256())


def leaf_certificate(
    spiffe_id: SpiffeId,
    public_key: ec.EllipticCurvePublicKey,
    *,
    issuer: x509.Certificate,
    key: PrivateKey,
    now: float,
    ttl: float,
) -> x509.Certificate:
    """An X.509-SVID for `spiffe_id`, signed with `issuer`'s `key`, good for `ttl` seconds from `now`."""
    builder = (
        _builder(spiffe_id, public_key, now, ttl, x509.random_serial_number())
        .subject_name(_workload_name(spiffe_id))
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNS_DATA, critical=True)
        .add_extension(_BOTH_SIDES, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public), critical=False)
    )
    return builder.sign(key.reveal(), hashes.SHA256())


def _workload_name(spiffe_id: SpiffeId) -> x509.Name:
    # For servers that map a certificate by its common name (decision 13); SPIFFE's verifiers look at the URI alone.
    # A `:` is in either form, so neither is ever taken for a host's name.
    text = str(spiffe_id)
    if len(text) > MAX_COMMON_NAME:
        digest = hashlib.sha256(text.encode()).digest()
        text = "sha256:" + base64.b32encode(digest).decode().rstrip("=").lower()
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Remit"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def _builder(
    spiffe_id: SpiffeId, public_key: ec.EllipticCurvePublicKey, now: float, ttl: float, serial: int
) -> x509.CertificateBuilder:
    # X.509 counts whole seconds: the start is rounded down and the end too, so that no SVID outlives its `ttl`.
    return (
        x509.CertificateBuilder()
        .serial_number(serial)
        .public_key(public_key)
        .not_valid_before(_moment(now - BACKDATE))
        .not_valid_after(_moment(now + ttl))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(spiffe_id))]), critical=False)
    )


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
