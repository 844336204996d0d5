"""The authority: what it issues, what it will not, and its key file."""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import IdentityError, StateError
from remit.identity import MAX_JWT_TTL, MAX_X509_TTL, Authority, SpiffeId, lone_trust_domain, verify_x509
from remit.identity.authority import AUTHORITY_TTL
from remit.identity.certificate import BACKDATE
from tests.identity.forge import NOW

AGENT = SpiffeId.parse("spiffe://example.org/agent/reader")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("example.org", NOW)


def test_its_certificate_is_a_signing_certificate_of_the_trust_domain(authority: Authority) -> None:
    certificate = authority.x509_authorities[0].certificate
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert list(names) == [x509.UniformResourceIdentifier("spiffe://example.org")]
    assert (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign) == (True, True, True)
    assert not usage.value.digital_signature
    assert (constraints.critical, constraints.value.ca) == (True, True)


def test_an_x509_svid_is_as_the_standard_says_and_proves_its_id(authority: Authority) -> None:
    svid = authority.issue_x509(AGENT, NOW)
    leaf = x509.load_der_x509_certificate(svid.chain[0])
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert usage.critical
    assert usage.value == x509.KeyUsage(True, *[False] * 8)
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.not_valid_before_utc.timestamp() == NOW - BACKDATE
    assert svid.expires == leaf.not_valid_after_utc.timestamp() == NOW + 3600
    assert svid.key is not None
    assert leaf.public_key() == svid.key.public
    assert verify_x509(svid.chain, authority.bundle().x509_authorities, NOW) == AGENT


def test_a_workload_may_keep_its_key_to_itself(authority: Authority) -> None:
    own = ec.generate_private_key(ec.SECP256R1()).public_key()
    svid = authority.issue_x509(AGENT, NOW, public_key=own)
    assert svid.key is None
    assert x509.load_der_x509_certificate(svid.chain[0]).public_key() == own


def test_serial_numbers_and_keys_are_never_the_same_twice(authority: Authority) -> None:
    svids = [authority.issue_x509(AGENT, NOW) for _ in range(20)]
    assert len({x509.load_der_x509_certificate(svid.chain[0]).serial_number for svid in svids}) == 20
    assert len({svid.key.reveal_pem() for svid in svids if svid.key is not None}) == 20


@pytest.mark.parametrize(
    "spiffe_id", [SpiffeId("example.org", ""), SpiffeId("elsewhere.org", "/agent"), SpiffeId("org", "/agent")]
)
def test_it_speaks_for_workloads_of_its_own_trust_domain_only(authority: Authority, spiffe_id: SpiffeId) -> None:
    with pytest.raises(IdentityError, match="not a workload of trust domain"):
        authority.issue_x509(spiffe_id, NOW)
    with pytest.raises(IdentityError, match="not a workload of trust domain"):
        authority.issue_jwt(spiffe_id, ("a",), NOW)


def test_no_svid_lives_longer_than_it_may(authority: Authority) -> None:
    for ttl in (0, -1, MAX_X509_TTL + 1, float("nan"), float("inf")):
        with pytest.raises(IdentityError, match="can't live for"):
            authority.issue_x509(AGENT, NOW, ttl)
    for ttl in (0, -1, MAX_JWT_TTL + 1, float("nan"), float("inf")):
        with pytest.raises(IdentityError, match="can't live for"):
            authority.issue_jwt(AGENT, ("a",), NOW, ttl)


def test_no_svid_outlives_its_authority(authority: Authority) -> None:
    end = NOW + AUTHORITY_TTL
    assert authority.issue_x509(AGENT, end - 100).expires == end
    with pytest.raises(StateError, match="expired"):
        authority.issue_x509(AGENT, end)


def test_a_token_is_for_somebody(authority: Authority) -> None:
    for audience in ((), ("",), ("a",) * 17, ("a" * 1025,)):
        with pytest.raises(IdentityError, match="audience"):
            authority.issue_jwt(AGENT, audience, NOW)


def test_it_is_the_same_after_a_restart(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    authority.save(path)
    again = Authority.load(path)
    assert again.bundle() == authority.bundle()
    assert verify_x509(again.issue_x509(AGENT, NOW).chain, authority.bundle().x509_authorities, NOW) == AGENT
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["authority.json"]


def test_keys_that_others_may_have_read_are_not_used(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    authority.save(path)
    path.chmod(0o640)
    with pytest.raises(StateError, match="read by others") as caught:
        Authority.load(path)
    assert "chmod 600" in caught.value.hint
    path.chmod(0o600)
    path.parent.chmod(0o755)
    with pytest.raises(StateError, match="open to others") as caught:
        Authority.load(path)
    assert "chmod 700" in caught.value.hint
    with pytest.raises(StateError, match="open to others"):
        authority.save(path)


def test_a_missing_linked_or_odd_key_file_is_said_so(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "authority.json"
    with pytest.raises(StateError, match="No such file"):
        Authority.load(path)
    authority.save(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(StateError, match="symbolic links"):
        Authority.load(path)
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(StateError, match="not a plain file"):
        Authority.load(path)


def test_a_corrupt_key_file_is_said_so_and_not_shown(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "authority.json"
    authority.save(path)
    row = json.loads(path.read_bytes())
    other = Authority.create("example.org", NOW).x509_authorities[0].key.reveal_pem().decode()
    spoilt: list[object] = [
        "", "{", "[]", "7", {}, {**row, "format": 3}, {**row, "trust_domain": "Example.org"},
        {**row, "trust_domain": "elsewhere.org"}, {**row, "x509": []}, {**row, "jwt": []}, {**row, "sequence": None},
        {**row, "x509": [{**row["x509"][0], "key": other}]}, {**row, "jwt": [{"key": "no PEM"}]},
        {**row, "x509": [{**row["x509"][0], "certificate": "no PEM"}]}, {**row, "jwt": [{}]}, {**row, "jwt": 7},
    ]  # fmt: skip
    for content in spoilt:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(StateError, match="can't be used") as caught:
            Authority.load(path)
        assert "PRIVATE KEY" not in f"{caught.value}{caught.value.hint}"
    path.write_bytes(b" " * (1 << 20) + b" ")
    with pytest.raises(StateError, match="longer than"):
        Authority.load(path)


def test_nothing_printed_shows_a_private_key(authority: Authority) -> None:
    svid = authority.issue_x509(AGENT, NOW)
    assert svid.key is not None
    keys = [svid.key, authority.x509_authorities[0].key, authority.jwt_authorities[0].key]
    for key in keys:
        secret = key.reveal().private_numbers().private_value
        for shown in (repr(authority), repr(svid), repr(key)):
            assert str(secret) not in shown
            assert f"{secret:x}" not in shown


@pytest.mark.parametrize(
    ("hostname", "suffix", "name"),
    [
        ("maple", "7f3a", "maple-7f3a.local"),
        ("Maple.lan.example", "7F3A", "maple-7f3a.local"),
        ("Jörg's PC", "7f3a", "j-rg-s-pc-7f3a.local"),
        ("", "7f3a", "host-7f3a.local"),
        ("___", "7f3a", "host-7f3a.local"),
    ],
)
def test_a_lone_machine_names_its_own_trust_domain(hostname: str, suffix: str, name: str) -> None:
    assert lone_trust_domain(hostname, suffix) == name


def test_a_trust_domain_that_nothing_sets_apart_is_refused() -> None:
    with pytest.raises(IdentityError):
        lone_trust_domain("maple", "--")


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_the_host_is_called_its_trust_domain_is_one(hostname: str, suffix: str) -> None:
    try:
        name = lone_trust_domain(hostname, suffix)
    except IdentityError:
        return
    assert SpiffeId.of(name).trust_domain == name
