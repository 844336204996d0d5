"""A door's TLS while the authority's keys follow each other: it goes on, and takes the new ones."""

import ssl
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from remit.gateway import mutual_tls
from remit.identity import Authority, SpiffeId
from remit.secret import Secret


def pem(authority: Authority, name: str) -> Secret:
    svid = authority.issue_x509(SpiffeId.of("example.org", name), time.time())
    assert svid.key is not None
    return Secret("".join(map(ssl.DER_cert_to_PEM_cert, svid.chain)) + svid.key.reveal_pem().decode())


def client_context(own: Secret, authorities: Iterable[bytes], directory: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=b"".join(authorities))
    context.check_hostname = False  # the certificate names a SPIFFE ID; the chain is checked all the same
    (directory / "svid.pem").write_text(own.reveal())
    context.load_cert_chain(directory / "svid.pem")
    return context


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes | None:
    """Both ends of a handshake in memory; the client's certificate as the server took it."""
    upward, downward = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(upward, downward, server_side=True), client.wrap_bio(downward, upward)]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert(binary_form=True)


def test_an_open_door_takes_callers_of_an_authority_that_came_later(tmp_path: Path) -> None:
    old, new = (Authority.create("example.org", time.time()) for _ in range(2))
    both = [*old.signing_certificates(), *new.signing_certificates()]
    door = mutual_tls.server_context(pem(old, "gateway"), old.signing_certificates())
    early, late = client_context(pem(old, "a"), both, tmp_path), client_context(pem(new, "a"), both, tmp_path)
    assert shake(door, early)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(door, late)
    mutual_tls.trust(door, new.signing_certificates())
    assert shake(door, early)
    assert shake(door, late)
    mutual_tls.load(door, pem(new, "gateway"))
    assert shake(door, early)
    assert shake(door, late)
