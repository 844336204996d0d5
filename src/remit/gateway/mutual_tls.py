"""Mutual TLS for a door: our X.509-SVID, and clients' verified against the trust domain's authorities."""

import _ssl
import ssl
import tempfile
from collections.abc import Iterable
from typing import Any

from remit.secret import Secret


def server_context(pem: Secret, authorities: Iterable[bytes]) -> ssl.SSLContext:
    """A context for TLS 1.3 alone; `pem` is chain and key, `authorities` are DER certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # a resumed session has the caller's own certificate only: not the chain that proves it
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


def presented(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the peer sent (DER), its own first: what `verify_x509` needs of a chain, not its answer.

    Python has a public way from 3.13 on. Without either, an SVID that needs an intermediate is refused.
    """
    own = tls.getpeercert(binary_form=True)
    inner: Any = getattr(tls, "_sslobj", None)
    if hasattr(inner, "get_unverified_chain") and (chain := inner.get_unverified_chain()):
        return tuple(one.public_bytes(_ssl.ENCODING_DER) for one in chain)
    return (own,) if own is not None else ()
