"""Keys: made once, kept secret, told apart."""

import pickle
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from remit.audit import DigestKey, ProcessFacts, RootKey, VerifierKey, WriterKey
from remit.audit.entry import encode, without_home
from remit.errors import AuditError, StateError
from remit.identity import Process
from tests.audit.records import TRUST_DOMAIN, act, start


def opened(place: Path) -> RootKey:
    return RootKey.open(place / "keys" / "audit.key", place / "audit" / "audit.pub", TRUST_DOMAIN)


def test_the_root_key_is_made_once_and_secret(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    assert first.verifier == second.verifier
    assert (tmp_path / "keys" / "audit.key").stat().st_mode & 0o777 == 0o600
    told = (tmp_path / "audit" / "audit.pub").read_text()
    assert VerifierKey.parse(told) == first.verifier
    assert (tmp_path / "keys" / "audit.key").read_bytes().hex() not in repr(first)


def test_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    keys: list[DigestKey] = []
    threads = [threading.Thread(target=lambda: keys.append(DigestKey.open(tmp_path / "k"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.digest(b"x") for key in keys}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "keys" / "audit.key").chmod(0o644)
    with pytest.raises(StateError, match="read by others") as refused:
        opened(tmp_path)
    assert "chmod 600" in refused.value.hint


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(StateError, match="is not a key"):
        DigestKey.open(tmp_path / "k")


def test_a_link_in_place_of_a_key_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "k").symlink_to(tmp_path / "keys" / "audit.key")
    with pytest.raises(StateError, match="can't be used"):
        DigestKey.open(tmp_path / "k")


def test_signing_keys_do_not_travel() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(WriterKey.fresh("maple", "inference-0.20261121T031500.123Z"))


def test_the_vkey_of_the_c2sp_specification() -> None:
    """The example key of golang.org/x/mod/sumdb/note."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert str(VerifierKey.parse(text)) == text
    for wrong in (text[:-1], text.replace("c74f20a3", "c74f20a4"), "a b+c74f20a3+" + text[-44:], "", "x", "+++"):
        with pytest.raises(AuditError):
            VerifierKey.parse(wrong)


def test_keyed_digests(tmp_path: Path) -> None:
    one, other = DigestKey(b"1" * 32), DigestKey(b"2" * 32)
    assert one.digest(b"hello") == one.digest(b"hello") != other.digest(b"hello")
    assert one.pseudonym("ada") != one.pseudonym("bob")
    assert "ada" not in one.pseudonym("ada")
    assert "1" * 32 not in repr(one)


def test_a_record_is_one_line_of_ascii_without_nul() -> None:
    stored = encode(act("enrolled", "nul \0 newline \n snow ☃ lone \ud800"))
    assert stored.isascii()
    assert b"\0" not in stored
    assert b"\n" not in stored
    with pytest.raises(AuditError, match="over"):
        encode(act("enrolled", "x" * 70_000))
    with pytest.raises(AuditError, match="JSON"):
        encode(start("x", t=float("nan")))


def test_home_directories_name_people() -> None:
    assert without_home("/home/ada/bin/agent") == "~/bin/agent"
    assert without_home("/srv/people/ada/bin/agent", "/srv/people/ada") == "~/bin/agent"
    assert without_home("/srv/people/adam/agent", "/srv/people/ada") == "/srv/people/adam/agent"
    assert without_home("/usr/bin/curl", "/") == "/usr/bin/curl"


def test_a_program_in_its_person_s_home_is_kept_without_the_name() -> None:
    agent = Process(7, 1, 1000, 1000, "agent", "/srv/people/ada/agent", None, None, None, None, foreground=False)
    assert ProcessFacts.of(replace(agent, home="/srv/people/ada")).exe == "~/agent"
    assert ProcessFacts.of(agent).exe == "/srv/people/ada/agent"
