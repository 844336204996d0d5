"""The subject of an X.509-SVID: for servers that map a certificate by its common name and can't read a URI."""

import base64
import hashlib

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from remit.identity import Authority, SpiffeId
from tests.identity.forge import NOW

AUTHORITY = Authority.create("example.org", NOW)


def common_name(spiffe_id: str) -> str:
    leaf = x509.load_der_x509_certificate(AUTHORITY.issue_x509(SpiffeId.parse(spiffe_id), NOW).chain[0])
    (name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


@pytest.mark.parametrize("path", ["/agent/reader", "/a", "/" + "x" * 43])
def test_the_common_name_is_the_id_itself_where_it_fits(path: str) -> None:
    assert common_name(f"spiffe://example.org{path}") == f"spiffe://example.org{path}"


@pytest.mark.parametrize("length", [44, 2_000])
def test_a_longer_id_has_its_digest_for_a_common_name(length: int) -> None:
    spiffe_id = "spiffe://example.org/" + "x" * length  # from 65 characters on: X.520's upper bound is 64
    digest = base64.b32encode(hashlib.sha256(spiffe_id.encode()).digest()).decode().rstrip("=").lower()
    assert common_name(spiffe_id) == f"sha256:{digest}"


def test_no_two_ids_share_a_common_name_and_none_is_a_host_name() -> None:
    ids = [f"spiffe://example.org/{'x' * length}" for length in range(1, 120)]
    names = [common_name(spiffe_id) for spiffe_id in ids]
    assert len(set(names)) == len(ids)
    assert all(":" in name for name in names)  # OpenSSL takes a common name for a host's where no DNS name is given
