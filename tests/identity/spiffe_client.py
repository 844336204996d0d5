"""The stock SPIFFE client, in a process of its own: `python -m tests.identity.spiffe_client SOCKET`.

Prints what it got as one JSON line a question.
"""

import json
import sys

from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import JwtBundleSet, JwtSvid, TrustDomain, WorkloadApiClient, X509BundleSet, X509Svid


def main(path: str) -> None:
    with WorkloadApiClient(f"unix:{path}", default_timeout=20) as client:
        svid: X509Svid = client.fetch_x509_svid()
        context = client.fetch_x509_context()
        x509_bundles: X509BundleSet = client.fetch_x509_bundles()
        jwt: JwtSvid = client.fetch_jwt_svid({"gateway"})
        jwt_bundles: JwtBundleSet = client.fetch_jwt_bundles()
        validated = client.validate_jwt_svid(jwt.token, "gateway")
    trust_domain = TrustDomain("example.org")
    jwt_bundle = jwt_bundles.get_bundle_for_trust_domain(trust_domain)
    x509_bundle = x509_bundles.get_bundle_for_trust_domain(trust_domain)
    if jwt_bundle is None or x509_bundle is None:
        raise SystemExit("no bundle for example.org")
    print(
        json.dumps(
            {
                "x509": str(svid.spiffe_id),
                "chain": [certificate.public_bytes(Encoding.DER).hex() for certificate in svid.cert_chain],
                "key_fits": svid.private_key.public_key() == svid.leaf.public_key(),
                "context": str(context.default_svid.spiffe_id),
                "authorities": [item.public_bytes(Encoding.DER).hex() for item in x509_bundle.x509_authorities],
                "jwt": str(JwtSvid.parse_and_validate(jwt.token, jwt_bundle, {"gateway"}).spiffe_id),
                "validated": str(validated.spiffe_id),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
