"""An X.509-SVID and its verification (X509-SVID standard, sections 3 to 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from remit.errors import IdentityError
from remit.identity.private_key import PrivateKey
from remit.identity.spiffe_id import SpiffeId
from remit.identity.x509_path import MAX_AUTHORITIES, parse_certificates, verify_path

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


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
    chain, authorities = parse_certificates(chain_der), parse_certificates(authorities_der, MAX_AUTHORITIES)
    # 2
    spiffe_id = _form(chain)
    # 3
    anchor = verify_path(chain, authorities, now)
    # 4
    owner = trust_domain if trust_domain is not None else _authority_trust_domain(anchor)
    if owner != spiffe_id.trust_domain:
        raise IdentityError(f"`{spiffe_id}` is signed by an authority of trust domain `{owner}`")
    return spiffe_id


def unverified_x509_id(chain_der: Sequence[bytes]) -> SpiffeId:
    """The SPIFFE ID that a chain claims, by its form alone: steps 1 and 2 of `verify_x509`. Proves nothing."""
    return _form(parse_certificates(chain_der))


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
    if names is not None and not names.critical and not certificate.subject.rdns:  # RFC 5280 4.1.2.6
        raise IdentityError("the certificate has an empty subject, so its names must be critical")
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
