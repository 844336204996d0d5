"""A signing certificate from an outside CA: read from files, refused unless it is for this trust domain alone."""

from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from remit.errors import IdentityError, StateError
from remit.identity.authority_keys import X509Authority
from remit.identity.certificate import leaf_certificate
from remit.identity.private_file import MAX_BYTES, read_private
from remit.identity.private_key import PrivateKey
from remit.identity.spiffe_id import SpiffeId
from remit.identity.x509_path import MAX_AUTHORITIES, MAX_CHAIN, parse_certificates
from remit.identity.x509_svid import verify_x509

LEAST_LEFT: Final = 86_400.0  # seconds: a certificate nearer to its end is refused, as nobody would renew it in time

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


def read_outside(chain: Path, key: Path, roots: Path, trust_domain: str, now: float) -> X509Authority:
    """The signing certificate in `chain` (PEM, that one first) with its `key`, trusted through `roots`.

    Raises StateError that names the file. At `now` (Unix seconds):

    1. The files are there and are what they should be; the key (P-256) is readable by its owner only.
    2. The first certificate is a CA, its key is that key, and it is good for a day at least.
    3. It is constrained to URIs of this trust domain, and to nothing else.
    4. What it signs verifies against the roots.
    """
    # 1
    certificates, trusted = _certificates(chain, MAX_CHAIN), _certificates(roots, MAX_AUTHORITIES)
    try:
        signer = PrivateKey.from_pem(read_private(key))
    except IdentityError as error:
        raise StateError(f"`{key}`: {error}", hint="make a P-256 key, PKCS#8, without a password") from None
    try:
        # 2
        _check_signer(certificates[0], signer, now)
        # 3
        _check_constraint(certificates[0], trust_domain)
        # 4
        made = X509Authority(certificates[0], signer, _ders(certificates[1:]), _ders(trusted))
        _check_trusted(made, trust_domain, now)
    except IdentityError as error:
        raise StateError(f"the signing certificate in `{chain}` can't be used: {error}", hint=error.hint) from error
    return made


def _certificates(path: Path, most: int) -> list[x509.Certificate]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        loaded = x509.load_pem_x509_certificates(content[:MAX_BYTES])
        return parse_certificates(_ders(loaded), most)
    except OSError as error:
        raise StateError(f"can't read `{path}`: {error.strerror}") from error
    except (ValueError, IdentityError) as error:
        hint = "PEM certificates, one after the other"
        raise StateError(f"`{path}` holds no certificates that can be used: {error}", hint=hint) from error


def _check_signer(certificate: x509.Certificate, key: PrivateKey, now: float) -> None:
    constraints = _value(certificate, x509.BasicConstraints)
    usage = _value(certificate, x509.KeyUsage)
    if constraints is None or not constraints.ca or usage is None or not usage.key_cert_sign:
        raise IdentityError("it is no CA certificate", hint="it needs `CA:TRUE` and the key usage `keyCertSign`")
    if certificate.public_key() != key.public:
        raise IdentityError("the key is not its key", hint="`authority.key` goes with the chain's first certificate")
    if certificate.not_valid_after_utc.timestamp() < now + LEAST_LEFT:
        raise IdentityError("it has expired, or does within a day", hint="have the outside CA renew it")


def _check_constraint(certificate: x509.Certificate, trust_domain: str) -> None:
    constraints = _value(certificate, x509.NameConstraints)
    permitted = None if constraints is None else constraints.permitted_subtrees
    if permitted != [x509.UniformResourceIdentifier(trust_domain)]:
        raise IdentityError(
            f"it is not constrained to the trust domain `{trust_domain}`",
            hint=f"have it issued with `nameConstraints = critical, permitted;URI:{trust_domain}`",
        )


def _check_trusted(authority: X509Authority, trust_domain: str, now: float) -> None:
    """Sign something and verify it as an outsider would: the sure way to know that the chain is whole."""
    probe = SpiffeId.of(trust_domain, "remit", "probe")
    leaf = leaf_certificate(
        probe, PrivateKey.generate().public, issuer=authority.certificate, key=authority.key, now=now, ttl=60.0
    )
    der = leaf.public_bytes(serialization.Encoding.DER)
    verify_x509([der, *authority.path], authority.roots, now, trust_domain=trust_domain)


def _ders(certificates: list[x509.Certificate]) -> tuple[bytes, ...]:
    return tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in certificates)


def _value(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
