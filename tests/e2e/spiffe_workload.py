"""A workload with the stock SPIFFE client: `python -m tests.e2e.spiffe_workload x509 DIR | jwt AUDIENCE`.

The Workload API is found the standard way, by SPIFFE_ENDPOINT_SOCKET.
"""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import WorkloadApiClient


def x509(directory: Path) -> str:
    """Write svid.pem, key.pem and bundle.pem; the SPIFFE ID."""
    with WorkloadApiClient(default_timeout=20) as client:
        context = client.fetch_x509_context()
    svid = context.default_svid
    bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    assert bundle is not None
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in svid.cert_chain)
    key = svid.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "svid.pem").write_bytes(pem)
    (directory / "key.pem").write_bytes(key)
    authorities = b"".join(one.public_bytes(Encoding.PEM) for one in bundle.x509_authorities)
    (directory / "bundle.pem").write_bytes(authorities)
    return str(svid.spiffe_id)


def jwt(audience: str) -> str:
    with WorkloadApiClient(default_timeout=20) as client:
        return client.fetch_jwt_svid({audience}).token


if __name__ == "__main__":
    print(x509(Path(sys.argv[2])) if sys.argv[1] == "x509" else jwt(sys.argv[2]))
