"""An X.509-SVID and its verification (X509-SVID standard, sections 3 to 5)."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from remit.errors import IdentityError
from remit.identity.private_key import PrivateKey
from remit.identity.spiffe_id import SpiffeId

MAX_CHAIN: Final = 8  # certificates; SPIRE's nested topologies use up to 4
MAX_CERTIFICATE_BYTES: Final = 16_384  # an RSA-4096 leaf with many names is about 4 KiB

# RFC 5280's profile as cryptography checks it, less what is the Web's alone: key identifiers are only hints for
# finding a path, and a leaf's names and purposes are checked by SPIFFE's rules below.
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

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)

# What cryptography raises for an extension it can't read: ValueError for bad DER, the others for what they say.
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class X509Svid:
    """One issued X.509-SVID. `chain` is DER, leaf first. `key` is None when the workload made its own.

    `issued` and `expires` are Unix seconds.
    """

    spiffe_id: SpiffeId
    chain: tuple[bytes, ...] = field(repr=False)
    key: PrivateKey | None = field(repr=False)
    issued: float
    expires: float


def verify_x509(
    chain_der: Sequence[bytes], authorities_der: Sequence[bytes], now: float, *, trust_domain: str | None = None
) -> SpiffeId:
    """The SPIFFE ID that `chain_der` (leaf first) proves at `now` (Unix seconds), or IdentityError that says why not.

    1. Every certificate parses, within the budget.
    2. The leaf has the form of an X.509-SVID, each intermediate that of a signing certificate.
    3. A path of signatures, validity, constraints and known critical extensions leads to one of the authorities.
    4. That authority speaks for the leaf's trust domain: `trust_domain` where the caller knows whose authorities
       these are, else the authority's own SPIFFE ID, which must then be there.

    Pure, so a caller may cache the answer until the leaf expires. Left to the caller: that the peer holds the
    leaf's private key (TLS proves it), and whether that ID may do anything.
    """
    # 1
    chain, authorities = _parse_all(chain_der), _parse_all(authorities_der)
    # 2
    spiffe_id = _form(chain)
    # 3
    anchor = _path(chain, authorities, now)
    # 4
    owner = trust_domain if trust_domain is not None else _authority_trust_domain(anchor)
    if owner != spiffe_id.trust_domain:
        raise IdentityError(f"`{spiffe_id}` is signed by an authority of trust domain `{owner}`")
    return spiffe_id


def unverified_x509_id(chain_der: Sequence[bytes]) -> SpiffeId:
    """The SPIFFE ID that a chain claims, by its form alone: steps 1 and 2 of `verify_x509`. Proves nothing."""
    return _form(_parse_all(chain_der))


def _parse_all(ders: Sequence[bytes]) -> list[x509.Certificate]:
    if not ders:
        raise IdentityError("there is no certificate")
    if len(ders) > MAX_CHAIN:
        raise IdentityError(f"there are more than {MAX_CHAIN} certificates")
    return [_parse(der) for der in ders]


def _parse(der: bytes) -> x509.Certificate:
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise IdentityError(f"a certificate is longer than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions, certificate.public_key()
    except (*_UNREADABLE, UnsupportedAlgorithm) as error:
        raise IdentityError(f"a certificate can't be read: {error}") from error
    return certificate


def _form(chain: Sequence[x509.Certificate]) -> SpiffeId:
    leaf, *intermediates = chain
    _check_leaf_usage(leaf)
    for certificate in intermediates:
        _check_signing_form(certificate)
    spiffe_id = SpiffeId.parse(_only_uri(leaf))
    if not spiffe_id.path:  # X509-SVID 2: a leaf's ID has a path
        raise IdentityError(f"`{spiffe_id}` names a trust domain, not a workload")
    return spiffe_id


def _only_uri(certificate: x509.Certificate) -> str:
    names = _extension(certificate, x509.SubjectAlternativeName)
    uris = [] if names is None else names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:  # X509-SVID 2: exactly one
        raise IdentityError(f"the certificate has {len(uris)} URI names: an SVID has exactly one")
    return uris[0]


def _check_leaf_usage(leaf: x509.Certificate) -> None:
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:  # X509-SVID 4.1
        raise IdentityError("the leaf is a certificate authority")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.critical:  # X509-SVID 4.3
        raise IdentityError("the leaf has no critical key usage")
    if not usage.value.digital_signature:
        raise IdentityError("the leaf may not make digital signatures")
    if usage.value.key_cert_sign or usage.value.crl_sign:
        raise IdentityError("the leaf may sign certificates or revocation lists")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    if purposes is not None and not both <= set(purposes.value):  # X509-SVID 4.4: optional, but then both
        raise IdentityError("the leaf's extended key usage lacks server or client authentication")


def _check_signing_form(certificate: x509.Certificate) -> None:
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.value.ca:  # X509-SVID 4.1
        raise IdentityError("an intermediate is not a certificate authority")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:  # X509-SVID 4.3
        raise IdentityError("an intermediate may not sign certificates")


def _path(chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate], now: float) -> x509.Certificate:
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(authorities)))
        .time(moment)
        .extension_policies(ca_policy=_SIGNER, ee_policy=_LEAF)
        .build_client_verifier()
    )
    try:
        return verifier.verify(chain[0], list(chain[1:])).chain[-1]
    except verification.VerificationError as error:
        raise IdentityError(f"the certificate is not signed by a known authority, or not now: {error}") from error


def _authority_trust_domain(authority: x509.Certificate) -> str:
    spiffe_id = SpiffeId.parse(_only_uri(authority))
    if spiffe_id.path:  # X509-SVID 3.1: a signing certificate's ID has no path
        raise IdentityError(f"the authority's own ID `{spiffe_id}` is a workload's")
    return spiffe_id.trust_domain


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> x509.Extension[_Kind] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
