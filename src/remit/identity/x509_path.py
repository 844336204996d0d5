"""Certificates from bytes, and the path from one to an authority (RFC 5280, 6), by cryptography's verifier."""

import datetime
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification

from remit.errors import IdentityError
from remit.identity.roca import guessable
from remit.identity.x509_constrained import check_criticality, constrains_uris, verify_constrained

MAX_CHAIN: Final = 10  # certificates: x509-limbo's longest good chain; SPIRE's nested topologies use up to 4
MAX_AUTHORITIES: Final = 64
MAX_CERTIFICATE_BYTES: Final = 16_384  # an RSA-4096 leaf with many names is about 4 KiB
MIN_RSA_BITS: Final = 2_048  # as the verifier asks of signing certificates

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

# RFC 5280's profile as cryptography checks it, less what is the Web's alone: key identifiers are only hints for
# finding a path, and a leaf's names and purposes are checked by SPIFFE's rules (`x509_svid`).
_ANY = verification.Criticality.AGNOSTIC
_SIGNER: Final = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.AuthorityKeyIdentifier, verification.Criticality.NON_CRITICAL, None
)
_LEAF: Final = (
    verification.ExtensionPolicy.webpki_defaults_ee()
    .may_be_present(x509.AuthorityKeyIdentifier, verification.Criticality.NON_CRITICAL, None)
    .require_present(x509.SubjectAlternativeName, _ANY, None)
    .may_be_present(x509.ExtendedKeyUsage, _ANY, None)
)

# What cryptography raises for a certificate it can't read: ValueError for bad DER, TypeError for a name constraint
# that is no network, the others for what they say; its warning where warnings are errors.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def parse_certificates(ders: Sequence[bytes], most: int = MAX_CHAIN) -> list[x509.Certificate]:
    """Parse 1 to `most` DER certificates with all their extensions and keys; raises IdentityError."""
    if not ders:
        raise IdentityError("there is no certificate")
    if len(ders) > most:
        raise IdentityError(f"there are more than {most} certificates")
    return [_parse(der) for der in ders]


def verify_path(
    chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate], now: float
) -> x509.Certificate:
    """The authority that the signatures of `chain` (leaf first) lead to at `now`, Unix seconds.

    Raises IdentityError when there is none. Left to the caller: the leaf's names, purposes and key usage.
    """
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(authorities)))
        .time(datetime.datetime.fromtimestamp(now, datetime.UTC))
        .extension_policies(ca_policy=_SIGNER, ee_policy=_LEAF)
        .build_client_verifier()
    )
    anchor = _anchor(verifier, chain, authorities, now)
    for signer in (*chain[1:], anchor):
        check_criticality(signer)
    return anchor


def _anchor(
    verifier: verification.ClientVerifier,
    chain: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    now: float,
) -> x509.Certificate:
    try:
        return verifier.verify(chain[0], list(chain[1:])).chain[-1]
    except verification.VerificationError as error:
        if any(map(constrains_uris, (*chain[1:], *authorities))):  # the one thing that this verifier doesn't know
            return verify_constrained(chain, authorities, now)
        reason = str(error).split(" (encountered")[0]  # what follows is text from the certificate
        raise IdentityError(f"the certificate is not signed by a known authority, or not now: {reason}") from error


def _parse(der: bytes) -> x509.Certificate:
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise IdentityError(f"a certificate is longer than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        key, _ = certificate.public_key(), certificate.extensions
    except _UNREADABLE as error:
        raise IdentityError(f"a certificate can't be read: {error}") from error
    if certificate.serial_number <= 0:  # RFC 5280 4.1.2.2
        raise IdentityError("a certificate's serial number is not positive")
    if not _strong(key):
        raise IdentityError(
            f"a certificate's key is not P-256, P-384, P-521, Ed25519, or good RSA of {MIN_RSA_BITS} bits"
        )
    return certificate


def _strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS and not guessable(key.public_numbers().n)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _CURVES)
    return isinstance(key, ed25519.Ed25519PublicKey)
