"""What an outside Workload API answers, taken strictly: nothing of an answer that isn't right in all that is read.

Pure: messages and times come in as arguments. The standard is SPIFFE Workload API, sections 5 and 6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from remit.errors import IdentityError
from remit.identity.der import split_certificates
from remit.identity.jws import VerifyingKey, strict_json
from remit.identity.jwt_svid import JWT_USE, Jwks, JwtClaims, verify_jwt
from remit.identity.spiffe_id import SpiffeId
from remit.identity.x509_path import MAX_AUTHORITIES, MAX_CERTIFICATE_BYTES, parse_certificates
from remit.identity.x509_svid import verify_x509
from remit.secret import Secret

MAX_SVIDS: Final = 16  # of one process: as many registration entries fit it
MAX_BUNDLES: Final = 256  # trust domains that one is federated with, and itself
MAX_BUNDLE_BYTES: Final = MAX_AUTHORITIES * MAX_CERTIFICATE_BYTES
MAX_KEY_BYTES: Final = 8_192  # an RSA-4096 key is 2.4 KiB

_KEY_MEMBERS: Final = ("kty", "kid", "alg", "crv", "x", "y", "n", "e", "key_ops")


@dataclass(frozen=True, slots=True)
class GivenSvid:
    """An X.509-SVID that an outside authority issued to this process. `pem` is key and chain as OpenSSL takes them.

    `chain` is DER, leaf first. `expires` is when the first certificate of the chain ends, in Unix seconds.
    """

    spiffe_id: SpiffeId
    chain: tuple[bytes, ...] = field(repr=False)
    pem: Secret = field(repr=False)
    expires: float


def given_svids(reply: Any, now: float) -> tuple[GivenSvid, ...]:
    """The SVIDs of an X509SVIDResponse, the default one first; raises IdentityError.

    1. There are some, not too many, and no revocation lists: those would have to be heeded, and aren't read here.
    2. Each verifies against its own bundle, and proves the ID that the answer names.
    3. Each key is its certificate's.
    4. All are of one trust domain.
    """
    # 1
    if not 0 < len(reply.svids) <= MAX_SVIDS:
        raise IdentityError(f"{len(reply.svids)} SVIDs were given: it should be 1 to {MAX_SVIDS}")
    if reply.crl:
        raise IdentityError("revocation lists were given: Remit can't heed them")
    # 2, 3
    svids = tuple(_given_svid(row, now) for row in reply.svids)
    # 4
    if len({svid.spiffe_id.trust_domain for svid in svids}) > 1:
        raise IdentityError("SVIDs of more than one trust domain were given")
    return svids


def given_authorities(reply: Any, trust_domain: str) -> tuple[bytes, ...]:
    """The trust domain's authorities (DER) in an X509BundlesResponse; raises IdentityError.

    Other trust domains' are left aside unread: nobody is known by them here.
    """
    if reply.crl:
        raise IdentityError("revocation lists were given: Remit can't heed them")
    authorities = split_certificates(_bundle(reply.bundles, trust_domain), MAX_AUTHORITIES)
    parse_certificates(authorities, MAX_AUTHORITIES)
    return authorities


def given_jwt_keys(reply: Any, trust_domain: str) -> tuple[dict[str, Any], ...]:
    """The trust domain's JWT-SVID keys in a JWTBundlesResponse, as a SPIFFE bundle has them; raises IdentityError.

    SPIRE leaves `use` out here, where all keys are for JWT-SVIDs; a key with another use is skipped.
    """
    rows = strict_json(_bundle(reply.bundles, trust_domain)).get("keys")
    if not isinstance(rows, list) or len(rows) > MAX_AUTHORITIES or not all(isinstance(row, dict) for row in rows):
        raise IdentityError(f"the JWT bundle has no list of at most {MAX_AUTHORITIES} `keys`")
    kept = [row for row in rows if row.get("use", JWT_USE) in {JWT_USE, ""}]
    for row in kept:
        VerifyingKey.parse(row)
    keys = tuple({"use": JWT_USE, **{name: row[name] for name in _KEY_MEMBERS if name in row}} for row in kept)
    if len({key["kid"] for key in keys}) != len(keys):
        raise IdentityError("two keys of the JWT bundle have the same `kid`")
    return keys


def given_jwt_svids(
    reply: Any, keys: Jwks, trust_domain: str, audience: Sequence[str], now: float
) -> tuple[JwtClaims, ...]:
    """What the tokens of a JWTSVIDResponse say, once each is verified for all of `audience`; raises IdentityError."""
    if not 0 < len(reply.svids) <= MAX_SVIDS:
        raise IdentityError(f"{len(reply.svids)} JWT-SVIDs were given: it should be 1 to {MAX_SVIDS}")
    proven = []
    for row in reply.svids:
        for name in audience:
            claims = verify_jwt(row.svid, keys, name, now, trust_domain=trust_domain)
        if str(claims.spiffe_id) != row.spiffe_id:
            raise IdentityError("a JWT-SVID is of another ID than the answer says")
        proven.append(claims)
    return tuple(proven)


def _given_svid(row: Any, now: float) -> GivenSvid:
    named = SpiffeId.parse(row.spiffe_id)
    chain, authorities = split_certificates(row.x509_svid), split_certificates(row.bundle, MAX_AUTHORITIES)
    proven = verify_x509(chain, authorities, now, trust_domain=named.trust_domain)
    if proven != named:
        raise IdentityError(f"the SVID of `{proven}` was given as that of `{named}`")
    certificates = parse_certificates(chain)
    pem = _key_pem(row.x509_svid_key, certificates[0]) + "".join(map(_pem, certificates))
    expires = min(one.not_valid_after_utc.timestamp() for one in certificates)
    return GivenSvid(named, chain, Secret(pem), expires)


def _key_pem(der: bytes, leaf: x509.Certificate) -> str:
    """The private key (PKCS#8, 5.2.1) as PEM, if it is `leaf`'s."""
    if len(der) > MAX_KEY_BYTES:
        raise IdentityError(f"an SVID's private key is longer than {MAX_KEY_BYTES} bytes")
    try:
        key = serialization.load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IdentityError("an SVID's private key can't be read") from None
    if key.public_key() != leaf.public_key():
        raise IdentityError("an SVID's private key is not its certificate's")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _bundle(bundles: Mapping[str, bytes], trust_domain: str) -> bytes:
    if len(bundles) > MAX_BUNDLES:
        raise IdentityError(f"bundles of more than {MAX_BUNDLES} trust domains were given")
    content = bundles.get(str(SpiffeId.of(trust_domain)))
    if content is None:
        raise IdentityError(f"the bundle of `{trust_domain}` was not given")
    if len(content) > MAX_BUNDLE_BYTES:
        raise IdentityError(f"the bundle of `{trust_domain}` is longer than {MAX_BUNDLE_BYTES} bytes")
    return content
