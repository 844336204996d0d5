"""Passkeys: only a person's own key, asked by this page for this challenge, proves them, and only verified."""

import dataclasses
import json
from typing import Any

import pytest

from remit.persons.passkeys import (
    MAX_ANSWER_BYTES,
    CloneError,
    Party,
    Passkey,
    PasskeyError,
    asserted,
    assertion_options,
    registered,
    registration_options,
)
from tests.fakes.authenticator import PRESENT, FakeAuthenticator

ORIGIN = "http://localhost:7399"
PARTY = Party(ORIGIN)
ASKED, OTHER = b"a" * 32, b"b" * 32


@pytest.fixture
def key() -> FakeAuthenticator:
    return FakeAuthenticator(ORIGIN)


@pytest.fixture
def adas(key: FakeAuthenticator) -> Passkey:
    return registered(PARTY, ASKED, key.create(ASKED), "ada", "yubikey", 1000.0).passkey


def prove(passkey: Passkey, answer: bytes, challenge: bytes = ASKED) -> Passkey:
    return asserted(PARTY, challenge, answer, {passkey.id: passkey}, 2000.0)


def test_a_new_passkey_is_its_persons(key: FakeAuthenticator, adas: Passkey) -> None:
    assert (adas.id, adas.human, adas.label, adas.created) == (key.id, "ada", "yubikey", 1000.0)
    assert adas.last_used is None


def test_it_proves_its_person_and_is_kept_with_its_count(key: FakeAuthenticator, adas: Passkey) -> None:
    used = prove(adas, key.get(ASKED))
    assert used == dataclasses.replace(adas, sign_count=2, last_used=2000.0)


def test_the_person_must_be_verified(key: FakeAuthenticator, adas: Passkey) -> None:
    with pytest.raises(PasskeyError, match="verif"):
        prove(adas, key.get(ASKED, flags=PRESENT))
    with pytest.raises(PasskeyError, match="verif"):
        registered(PARTY, ASKED, key.create(ASKED, flags=PRESENT), "ada", "", 1.0)


def test_another_challenge_proves_nothing(key: FakeAuthenticator, adas: Passkey) -> None:
    with pytest.raises(PasskeyError, match="challenge"):
        prove(adas, key.get(OTHER))
    with pytest.raises(PasskeyError, match="challenge"):
        registered(PARTY, ASKED, key.create(OTHER), "ada", "", 1.0)


@pytest.mark.parametrize("origin", ["http://localhost:1", "https://localhost:7399", "http://127.0.0.1:7399", "null"])
def test_another_origin_proves_nothing(key: FakeAuthenticator, adas: Passkey, origin: str) -> None:
    key.origin = origin
    with pytest.raises(PasskeyError, match="origin"):
        prove(adas, key.get(ASKED))


def test_another_relying_party_proves_nothing(key: FakeAuthenticator, adas: Passkey) -> None:
    key.rp = "example.com"
    with pytest.raises(PasskeyError, match="RP ID"):
        prove(adas, key.get(ASKED))


@pytest.mark.parametrize("said", [{"crossOrigin": True}, {"topOrigin": "http://evil.example"}, {"crossOrigin": 1}])
def test_a_frame_in_another_page_proves_nothing(key: FakeAuthenticator, adas: Passkey, said: dict[str, Any]) -> None:
    with pytest.raises(PasskeyError, match="frame"):
        prove(adas, key.get(ASKED, **said))


def test_another_key_under_its_id_proves_nothing(adas: Passkey) -> None:
    wrong = FakeAuthenticator(ORIGIN)
    wrong.id, wrong.count = adas.id, 5
    with pytest.raises(PasskeyError, match="signature"):
        prove(adas, wrong.get(ASKED))


def test_another_persons_key_proves_nothing(adas: Passkey) -> None:
    with pytest.raises(PasskeyError, match="not one of this person's"):
        prove(adas, FakeAuthenticator(ORIGIN).get(ASKED))


def test_a_count_that_goes_back_may_be_a_copy(key: FakeAuthenticator, adas: Passkey) -> None:
    used = prove(adas, key.get(ASKED))
    key.count = used.sign_count
    with pytest.raises(CloneError, match="may be copied"):
        prove(used, key.get(ASKED))


def test_without_the_key_nobody_raises_the_alarm_of_a_copy(adas: Passkey) -> None:
    wrong = FakeAuthenticator(ORIGIN)
    wrong.id, wrong.count = adas.id, 0
    with pytest.raises(PasskeyError) as raised:
        prove(dataclasses.replace(adas, sign_count=9), wrong.get(ASKED))
    assert not isinstance(raised.value, CloneError)


def test_a_key_that_counts_nothing_is_taken(key: FakeAuthenticator, adas: Passkey) -> None:
    key.count = 0
    assert prove(dataclasses.replace(adas, sign_count=0), key.get(ASKED)).sign_count == 0


def test_what_was_made_is_not_what_was_asked(key: FakeAuthenticator, adas: Passkey) -> None:
    with pytest.raises(PasskeyError):
        prove(adas, key.create(ASKED))
    with pytest.raises(PasskeyError):
        registered(PARTY, ASKED, key.get(ASKED), "ada", "", 1.0)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'"' + b"x" * MAX_ANSWER_BYTES + b'"',
        json.dumps({"id": 1, "rawId": [], "type": {}, "response": 3}).encode(),
        json.dumps({"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}).encode(),
        json.dumps(
            {
                "id": "AA",
                "rawId": "AA",
                "type": "public-key",
                "response": {
                    "clientDataJSON": "W10",
                    "attestationObject": "_w",
                    "authenticatorData": "AA",
                    "signature": "",
                },
            }
        ).encode(),
    ],
)
def test_malformed_answers_are_refused_in_words(adas: Passkey, answer: bytes) -> None:
    with pytest.raises(PasskeyError):
        prove(adas, answer)
    with pytest.raises(PasskeyError):
        registered(PARTY, ASKED, answer, "ada", "", 1.0)


def test_a_bit_changed_anywhere_proves_nothing(key: FakeAuthenticator, adas: Passkey) -> None:
    good = json.loads(key.get(ASKED))
    for field in ("clientDataJSON", "authenticatorData", "signature"):
        text = good["response"][field]
        for at in range(0, len(text) - 2, 7):
            changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
            with pytest.raises(PasskeyError):
                prove(adas, json.dumps({**good, "response": {**good["response"], field: changed}}).encode())


def test_browsers_are_asked_for_a_verified_person_and_three_algorithms(adas: Passkey) -> None:
    options = registration_options(PARTY, b"handle", "ada", ASKED, [adas])
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [-8, -7, -257]
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["excludeCredentials"] == [{"type": "public-key", "id": adas.name}]
    assert assertion_options(PARTY, ASKED, [adas])["userVerification"] == "required"
