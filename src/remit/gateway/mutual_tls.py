"""Mutual TLS for a door: our X.509-SVID, and clients' verified against the trust domain's authorities."""

import ssl
import tempfile
from collections.abc import Iterable

from remit.secret import Secret


def server_context(pem: Secret, authorities: Iterable[bytes]) -> ssl.SSLContext:
    """A context for TLS 1.3 alone; `pem` is chain and key, `authorities` are DER certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority may be an intermediate of an outside CA
    trust(context, authorities)
    load(context, pem)
    return context


def trust(context: ssl.SSLContext, authorities: Iterable[bytes]) -> None:
    """Let handshakes from now on take these authorities too. `identify` refuses who comes by one that has gone."""
    for der in authorities:
        context.load_verify_locations(cadata=der)


def load(context: ssl.SSLContext, pem: Secret) -> None:
    """Put key and chain into a TLS context, through a file only we can read: ssl takes nothing else."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="remit-") as file:
        file.write(pem.reveal().encode())
        file.flush()
        context.load_cert_chain(file.name)
