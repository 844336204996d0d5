"""The path from a leaf to an authority through a signer that is held to some URIs (RFC 5280, 4.2.1.10, 6.1).

cryptography's verifier knows constraints on host names and addresses, and takes no path with any other. This one is
for those alone, and narrower than RFC 5280: the chain is in order, every signer on it is checked, the authority
too, and a critical extension that isn't known here refuses it.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from remit.errors import IdentityError

_KNOWN: Final = frozenset(
    kind.oid
    for kind in (
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectAlternativeName,
        x509.NameConstraints,
    )
)
_SERIAL_END: Final = 1 << 159  # RFC 5280 4.1.2.2: at most 20 bytes, and positive
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


def constrains_uris(certificate: x509.Certificate) -> bool:
    """Whether a name constraint of this signer is about URIs."""
    return any(isinstance(name, x509.UniformResourceIdentifier) for name in _subtrees(certificate))


def verify_constrained(
    chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate], now: float
) -> x509.Certificate:
    """The authority that `chain` (leaf first) leads to at `now` (Unix seconds); IdentityError when there is none.

    1. One after the other has signed the one before; the last is an authority, and some signer constrains URIs.
    2. All are of the form that RFC 5280 asks for, valid now, signed with SHA-2 or Ed25519, and have no critical
       extension that is not known here; the leaf constrains nothing.
    3. Signers are certificate authorities that may sign certificates, with no more below them than they allow.
    4. Every URI below a signer is one that it may vouch for; it constrains nothing but URIs.
    """
    # 1
    path = path_in_order(chain, authorities)
    if not any(map(constrains_uris, path[1:])):
        raise IdentityError("no signer of the certificate constrains URIs")
    check_path(path, now)
    return path[-1]


def check_path(path: Sequence[x509.Certificate], now: float) -> None:
    """Steps 2 to 4 of `verify_constrained`, for a path whose signatures are good, leaf first."""
    # 2
    for certificate in path:
        _check_form(certificate)
        _check(certificate, now)
    if _value(path[0], x509.NameConstraints) is not None:  # RFC 5280 4.2.1.10: only in a CA certificate
        raise IdentityError("the leaf constrains names")
    for depth, signer in enumerate(path[1:]):
        # 3
        _check_signer(signer, depth)
        # 4
        _check_names(signer, path[: depth + 1])


def check_criticality(signer: x509.Certificate) -> None:
    """Refuses constraints that a verifier may pass over (RFC 5280 4.2.1.10 and 11)."""
    for kind in (x509.NameConstraints, x509.PolicyConstraints):
        if any(one.oid == kind.oid and not one.critical for one in signer.extensions):
            raise IdentityError("a signing certificate's constraints are not marked as critical")


def path_in_order(
    chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """The first certificates of `chain`, each signed by the next, and the authority that signed the last of them."""
    for length in range(1, len(chain) + 1):
        for authority in authorities:
            path = [*chain[:length], authority]
            if all(_signed_by(below, above) for below, above in pairwise(path)):
                return path
    raise IdentityError("the certificate is not signed by a known authority")


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):  # another name, a key of another kind, another key
        return False
    return True


def _check_form(certificate: x509.Certificate) -> None:
    if certificate.version is not x509.Version.v3:  # RFC 5280 4.1.2.1
        raise IdentityError("a certificate on the path is not of version 3")
    if certificate.serial_number >= _SERIAL_END:
        raise IdentityError("a certificate on the path has a serial number of more than 20 bytes")
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key not in certificate.tbs_certificate_bytes:  # RFC 5480 2.1.1: a curve is named, its parameters not spelt out
        raise IdentityError("a certificate on the path spells its key in another way than the standard's")


def _check(certificate: x509.Certificate, now: float) -> None:
    starts, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if not starts <= now <= ends:  # RFC 5280 4.1.2.5: both ends belong to it
        raise IdentityError("a certificate on the path is not valid now")
    weak = not isinstance(certificate.signature_hash_algorithm, _HASHES)
    if weak and certificate.signature_algorithm_oid != x509.SignatureAlgorithmOID.ED25519:
        raise IdentityError("a certificate on the path is signed with a weak algorithm")
    if any(one.critical and one.oid not in _KNOWN for one in certificate.extensions):
        raise IdentityError("a certificate on the path has a critical extension that is not known here")


def _check_signer(signer: x509.Certificate, below: int) -> None:
    constraints, usage = _value(signer, x509.BasicConstraints), _value(signer, x509.KeyUsage)
    if constraints is None or not constraints.ca or usage is None or not usage.key_cert_sign:
        raise IdentityError("a signer of the certificate is no certificate authority")
    if not signer.extensions.get_extension_for_class(x509.BasicConstraints).critical:  # RFC 5280 4.2.1.9
        raise IdentityError("a signer of the certificate does not mark as critical that it is one")
    if not signer.subject.rdns:  # RFC 5280 4.1.2.6
        raise IdentityError("a signer of the certificate has no name")
    check_criticality(signer)
    if constraints.path_length is not None and below > constraints.path_length:
        raise IdentityError("a signer of the certificate allows fewer signers below it")


def _check_names(signer: x509.Certificate, below: Iterable[x509.Certificate]) -> None:
    constraints = _value(signer, x509.NameConstraints)
    if constraints is None:
        return
    if not all(isinstance(name, x509.UniformResourceIdentifier) for name in _subtrees(signer)):
        raise IdentityError("a signer of the certificate constrains names that are no URIs")
    permitted, excluded = constraints.permitted_subtrees, constraints.excluded_subtrees or ()
    for uri in (uri for certificate in below for uri in _uris(certificate)):
        host = urlsplit(uri).hostname
        if not host:  # 4.2.1.10: a URI without a host fails the constraint
            raise IdentityError("a name of the certificate has no host, and its signer constrains hosts")
        if permitted is not None and not any(_within(host, name.value) for name in permitted):
            raise IdentityError(f"a signer of the certificate may not vouch for `{host}`")
        if any(_within(host, name.value) for name in excluded):
            raise IdentityError(f"a signer of the certificate may not vouch for `{host}`")


def _within(host: str, constraint: str) -> bool:
    """4.2.1.10: a name that starts with a dot is for every host below it, any other for that host alone."""
    wanted = constraint.lower()
    return host.endswith(wanted) and len(host) > len(wanted) if wanted.startswith(".") else host == wanted


def _subtrees(certificate: x509.Certificate) -> list[x509.GeneralName]:
    constraints = _value(certificate, x509.NameConstraints)
    if constraints is None:
        return []
    return [*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())]


def _uris(certificate: x509.Certificate) -> list[str]:
    names = _value(certificate, x509.SubjectAlternativeName)
    return [] if names is None else names.get_values_for_type(x509.UniformResourceIdentifier)


def _value(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
