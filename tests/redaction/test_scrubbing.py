"""Requests and answers cleaned as their permit plans: in JSON, in parts, in names, in streams."""

import copy
import json
from collections import Counter

import pytest

from remit.audit import Receipt
from remit.detect import Detector, Finding, KnownValues, Label
from remit.errors import ProtocolError, SpentError
from remit.policy import Permit, Treatment
from remit.redaction import ReplyText, Scrubber, clean
from remit.redaction.scrubber import MAX_SUSPECTS
from remit.redaction.texts import MAX_STRINGS

TOKEN = "ghp_" + "A1b2C3d4E5" * 4
TASK_TOKEN = "remit_task_" + "A1b2C3d4E5f6G7h8"
DETECTOR = Detector()


def permit(**plan: Treatment) -> Permit:
    return Permit("d", b"intent", (), {Label(name): one for name, one in plan.items()}, "set", 1, 2e9)


def receipt(of: bytes = b"intent") -> Receipt:
    return Receipt("shard", 0, b"leaf", of)


def sent(value: object, held: tuple[bytes, ...] = (), **plan: Treatment) -> object:
    scrubber = Scrubber(DETECTOR, KnownValues(held))
    return json.loads(clean(value, scrubber.request(value), permit(**plan), receipt(), scrubber).body)


def test_names_and_values_are_masked_and_the_request_itself_is_left_alone() -> None:
    value = {"messages": [{"content": f"use {TOKEN}."}], TOKEN: 1}
    before = copy.deepcopy(value)
    mark = "[REDACTED:github-token]"
    assert sent(value) == {"messages": [{"content": f"use {mark}."}], mark: 1}
    assert value == before


def test_two_names_masked_alike_lose_no_member() -> None:
    value = {TOKEN: 1, TOKEN[:-1] + "Z": 2, "[REDACTED:github-token] (2)": 3}
    masked = sent(value)
    assert isinstance(masked, dict)
    assert sorted(masked.values()) == [1, 2, 3]
    assert TOKEN not in json.dumps(masked)


@pytest.mark.parametrize("cut", [1, 4, 15, len(TOKEN) - 1])
def test_a_secret_split_over_two_parts_of_a_message_is_found_and_masked(cut: int) -> None:
    parts = [{"type": "text", "text": "see " + TOKEN[:cut]}, {"type": "text", "text": TOKEN[cut:] + " there"}]
    value = {"messages": [{"role": "user", "content": parts}]}
    assert Scrubber(DETECTOR).request(value).found == (("github-token", Label.CONFIDENTIAL),)
    joined = "".join(part["text"] for part in sent(value)["messages"][0]["content"])  # type: ignore[index]
    assert joined == "see [REDACTED:github-token] there"
    answer = ReplyText(Scrubber(DETECTOR), permit()).json(copy.deepcopy(value))
    assert TOKEN[cut:] not in json.dumps(answer)


def test_an_allowed_label_goes_out_but_never_what_remit_holds_or_issued() -> None:
    text = f"{TOKEN} {TASK_TOKEN} held-by-remit-1"
    allow = {"confidential": Treatment.ALLOW, "restricted": Treatment.ALLOW}
    expected = f"{TOKEN} [REDACTED:remit-task-token] [REDACTED:remit-held]"
    assert sent(text, held=(b"held-by-remit-1",), **allow) == expected


def test_what_is_to_be_refused_is_never_cleaned_instead() -> None:
    with pytest.raises(ProtocolError, match="refuses"):
        sent(TOKEN, confidential=Treatment.REFUSE)


def test_a_receipt_is_spent_once_and_for_its_own_intent() -> None:
    scrubber, value, once = Scrubber(DETECTOR), {"a": 1}, receipt()
    clean(value, scrubber.request(value), permit(), once, scrubber)
    for used in (once, receipt(b"another")):
        with pytest.raises(SpentError):
            clean(value, scrubber.request(value), permit(), used, scrubber)


def test_half_a_surrogate_pair_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="surrogate"):
        sent({"a": "\ud800"})


def test_more_strings_than_the_budget_are_refused() -> None:
    with pytest.raises(ProtocolError):
        Scrubber(DETECTOR).request([""] * (MAX_STRINGS + 1))


def test_each_text_of_a_streamed_answer_is_cleaned_by_itself() -> None:
    text = ReplyText(Scrubber(DETECTOR), permit())
    out: Counter[str] = Counter()
    said = {"content": "", "reasoning": ""}
    for char in f"a {TOKEN} b, ":
        for key in said:
            said[key] += text.feed(key, char)
    said = {key: so_far + text.close(key) for key, so_far in said.items()}
    assert set(said.values()) == {"a [REDACTED:github-token] b, "}
    out.update({"github-token": 2})
    assert text.counts == out
    assert text.masked


MARK = "[REDACTED:password-assignment]"
NAMED = [
    ({"password": "hunter2x"}, {"password": MARK}),
    ({"db": {"DB_PASSWORD": 'hunter2"x;y'}}, {"db": {"DB_PASSWORD": MARK}}),
    ({"env": {"PGPASSWORD": "hunter2x", "HOME": "/h2/me"}}, {"env": {"PGPASSWORD": MARK, "HOME": "/h2/me"}}),
    (
        {"env": [{"name": "DB_PASSWORD", "value": "hunter2x"}, {"value": "hunter2x", "name": "A"}]},
        {"env": [{"name": "DB_PASSWORD", "value": MARK}, {"value": "hunter2x", "name": "A"}]},
    ),
    ({"passwords": ["hunter2x", "none", "hunter3y"]}, {"passwords": [MARK, "none", MARK]}),
    ({"args": ["--password", "hunter2x", "hunter2x"]}, {"args": ["--password", MARK, "hunter2x"]}),
    ({"password": "Ask1day before it is needed"}, {"password": f"{MARK} before it is needed"}),
    ({"api_key": "A1b2C3d4E5f6"}, {"api_key": "[REDACTED:secret-assignment]"}),
    ({"name": "Authorization", "value": "Bearer a1b2c3d4e5f6"}, None),
    ({"kty": "oct", "k": "A1b2C3d4E5f6G7h8I9j0K1m2"}, {"kty": "oct", "k": "[REDACTED:jwk-private]"}),
]


@pytest.mark.parametrize(("value", "expected"), NAMED)
def test_a_value_is_judged_by_the_name_beside_it_and_alone_is_masked(value: object, expected: object) -> None:
    masked = sent(value)
    if expected is not None:
        assert masked == expected
    else:
        assert masked == {"name": "Authorization", "value": "Bearer [REDACTED:authorization-header]"}
    assert Scrubber(DETECTOR).request(value).suspect
    assert ReplyText(Scrubber(DETECTOR), permit()).json(copy.deepcopy(value)) == masked


@pytest.mark.parametrize(
    "value",
    [
        {"password": {"type": "string"}},
        {"password": "required"},
        {"max_tokens": 100, "temperature1": "2.5-something"},
        {"name": "get_token", "description1": "x"},
        ["password", "hunter2x"],
        {"a": "password", "b": "hunter2x"},
    ],
)
def test_what_only_stands_near_a_name_for_secrets_is_left_alone(value: object) -> None:
    assert not Scrubber(DETECTOR).request(value).found
    assert sent(value) == value


def test_what_a_named_value_holds_besides_is_found_too() -> None:
    value = {"note": f"x {TOKEN} y", "password": f"see {TOKEN} for it", "text": "plain"}
    mark = "[REDACTED:github-token]"
    assert sent(value) == {"note": f"x {mark} y", "password": f"see {mark} for it", "text": "plain"}


def test_only_suspect_strings_are_looked_at_closely() -> None:
    looked: list[str] = []

    class Watched(Detector):
        def scan(self, text: str, **rest: object) -> tuple[Finding, ...]:
            looked.append(text)
            return super().scan(text, **rest)  # type: ignore[arg-type]

    scrubber = Scrubber(Watched())
    value = {"messages": [{"content": f"word {number}"} for number in range(5000)], "last": TOKEN}
    assert scrubber.request(value).suspect
    scrubber.masked(value, (), Counter())
    assert set(looked) == {TOKEN, f'"last": "{TOKEN}'} | {"last"}


def test_more_suspects_than_the_budget_are_refused() -> None:
    with pytest.raises(ProtocolError, match="may be secrets"):
        Scrubber(DETECTOR).request([TOKEN] * (MAX_SUSPECTS + 1))
