"""The recovery code: what is shown opens, what is kept does not tell it."""

import json
import stat
from pathlib import Path

import pytest

from remit.errors import StateError, UsageError
from remit.persons.recovery_code import SEALED_FILE, Sealed, fresh_code, read_sealed, seal, sealed
from remit.secret import Secret


def kept_of(code: Secret) -> Sealed:
    """As it is kept."""
    return sealed(code, bytes(16), 1.0, owner="ada", uids=(1000,), domain="example.org")


def test_what_was_shown_opens_however_it_is_typed() -> None:
    code = fresh_code(bytes(range(17)))
    kept = kept_of(code)
    groups = code.reveal().split("-")
    assert [len(group) for group in groups] == [4] * 7
    for typed in (code.reveal(), code.reveal().lower(), " ".join(groups), "".join(groups).replace("0", "o") + "\n"):
        assert kept.opened_by(Secret(typed))


def test_another_code_does_not_open() -> None:
    assert not kept_of(fresh_code(bytes(17))).opened_by(fresh_code(b"\1" * 17))


@pytest.mark.parametrize("typed", ["", "ABCD", "U" * 28, "é" * 28, "A" * 400])
def test_what_can_be_no_code_is_named_as_such(typed: str) -> None:
    with pytest.raises(UsageError):
        kept_of(fresh_code(bytes(17))).opened_by(Secret(typed))


def test_a_slip_of_the_pen_is_told_from_a_wrong_code() -> None:
    code = fresh_code(bytes(17)).reveal()
    slips = [code[:-1] + letter for letter in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if letter != code[-1]]
    for slip in slips:
        with pytest.raises(UsageError, match="mistyped"):
            kept_of(fresh_code(bytes(17))).opened_by(Secret(slip))


def test_it_is_kept_for_its_owner_alone_and_does_not_hold_the_code(tmp_path: Path) -> None:
    directory = tmp_path / "break-glass"
    code = seal(directory, 5.0, owner="ada", uids=(1000,), domain="example.org")
    path = directory / SEALED_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert code.reveal().replace("-", "") not in path.read_text().upper()
    kept = read_sealed(directory)
    assert kept is not None
    assert (kept.owner, kept.uids, kept.trust_domain, kept.made) == ("ada", (1000,), "example.org", 5.0)
    assert kept.opened_by(code)


def test_a_new_seal_ends_the_one_before(tmp_path: Path) -> None:
    directory = tmp_path / "break-glass"
    old, new = seal(directory, 1.0), seal(directory, 2.0)
    kept = read_sealed(directory)
    assert kept is not None
    assert kept.opened_by(new)
    assert not kept.opened_by(old)


def test_nothing_sealed_is_no_error(tmp_path: Path) -> None:
    assert read_sealed(tmp_path / "nowhere") is None


def test_a_spoilt_seal_is_named() -> None:
    whole = json.loads(json.dumps({"salt": "00", "hashed": "00", "made": 1.0, "uids": []}))
    for row in (
        b"",
        b"[]",
        b"{}",
        json.dumps({**whole, "n": 1 << 30}).encode(),
        json.dumps({**whole, "x": 1}).encode(),
    ):
        with pytest.raises(StateError, match="no sealed recovery code"):
            Sealed.parse(row, "sealed.json")
