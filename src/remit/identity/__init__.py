"""Who a workload is: SPIFFE IDs, SVIDs, the trust domain's authority, attestation, the Workload API."""

import importlib
from typing import TYPE_CHECKING, Final

from remit.identity.caller import Caller, Proof
from remit.identity.process import Ancestor, Process
from remit.identity.spiffe_id import SpiffeId
from remit.identity.trust_domain import lone_trust_domain

if TYPE_CHECKING:
    from remit.identity.authority import MAX_JWT_TTL, MAX_X509_TTL, Authority
    from remit.identity.bundle import Bundle
    from remit.identity.jwt_svid import JwtClaims, JwtKeys, JwtSvid, verify_jwt
    from remit.identity.peer import PeerCredentials
    from remit.identity.private_key import PrivateKey
    from remit.identity.workload_api import Identities, Issuances, WorkloadApi
    from remit.identity.x509_svid import X509Svid, unverified_x509_id, verify_x509

__all__ = [
    "MAX_JWT_TTL",
    "MAX_X509_TTL",
    "Ancestor",
    "Authority",
    "Bundle",
    "Caller",
    "Identities",
    "Issuances",
    "JwtClaims",
    "JwtKeys",
    "JwtSvid",
    "PeerCredentials",
    "PrivateKey",
    "Process",
    "Proof",
    "SpiffeId",
    "WorkloadApi",
    "X509Svid",
    "lone_trust_domain",
    "unverified_x509_id",
    "verify_jwt",
    "verify_x509",
]

# X.509, JOSE and gRPC take 0.1 to 0.2 s each to import: they are, when their first name is used. So a command
# that only names a SPIFFE ID starts fast, and a gateway never holds a gRPC server in memory.
_LATE: Final = {
    "MAX_JWT_TTL": "authority",
    "MAX_X509_TTL": "authority",
    "Authority": "authority",
    "Bundle": "bundle",
    "Identities": "workload_api",
    "Issuances": "workload_api",
    "JwtClaims": "jwt_svid",
    "JwtKeys": "jwt_svid",
    "JwtSvid": "jwt_svid",
    "PeerCredentials": "peer",
    "PrivateKey": "private_key",
    "WorkloadApi": "workload_api",
    "X509Svid": "x509_svid",
    "unverified_x509_id": "x509_svid",
    "verify_jwt": "jwt_svid",
    "verify_x509": "x509_svid",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
