"""A door's TLS while the authority's keys follow each other: it goes on, and takes the new ones."""

import ssl
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from remit.errors import IdentityError
from remit.gateway import mutual_tls
from remit.identity import Authority, SpiffeId, verify_x509
from remit.identity.outside_ca import read_outside
from remit.secret import Secret
from tests.identity.outside import OutsideCa


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


def ends(server: ssl.SSLContext, client: ssl.SSLContext) -> list[ssl.SSLObject]:
    """Both ends of a handshake in memory, the server's first."""
    upward, downward = ssl.MemoryBIO(), ssl.MemoryBIO()
    both = [server.wrap_bio(upward, downward, server_side=True), client.wrap_bio(downward, upward)]
    for _ in range(6):
        for end in both:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return both


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes | None:
    """The client's certificate as the server took it."""
    return ends(server, client)[0].getpeercert(binary_form=True)


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


def under_an_outside_ca(directory: Path) -> Authority:
    """An authority whose SVIDs bring two intermediates along."""
    directory.chmod(0o700)
    files = OutsideCa(directory, time.time()).give("example.org")
    outside = read_outside(files.chain, files.key, files.roots, "example.org", time.time())
    return replace(Authority.create("example.org", time.time()), x509_authorities=(outside,))


def test_all_that_a_caller_presents_is_there_to_be_verified(tmp_path: Path) -> None:
    authority = under_an_outside_ca(tmp_path)
    [root] = authority.bundle().x509_authorities
    door = mutual_tls.server_context(pem(authority, "gateway"), [root])
    caller = pem(authority, "a")
    [end, _] = ends(door, client_context(caller, [root], tmp_path))
    chain = mutual_tls.presented(end)
    assert [ssl.DER_cert_to_PEM_cert(der) in caller.reveal() for der in chain] == [True] * 3
    assert chain[0] == end.getpeercert(binary_form=True)
    assert str(verify_x509(chain, [root], time.time(), trust_domain="example.org")) == "spiffe://example.org/a"
    with pytest.raises(IdentityError):
        verify_x509(chain[:1], [root], time.time(), trust_domain="example.org")


def test_no_session_is_given_that_would_come_back_without_the_chain(tmp_path: Path) -> None:
    authority = under_an_outside_ca(tmp_path)
    roots = authority.bundle().x509_authorities
    door = mutual_tls.server_context(pem(authority, "gateway"), roots)
    [server, client] = ends(door, client_context(pem(authority, "a"), roots, tmp_path))
    server.write(b"a word, after which tickets would have come")
    assert client.read()
    assert client.session is None or not client.session.has_ticket
