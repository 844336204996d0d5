"""The link's messages: each comes back as it was, anything else is refused, and no secret is shown on the way."""

import json
from pathlib import Path
from typing import Any

import pytest

from remit.config import GatewaySettings
from remit.errors import ProtocolError
from remit.policy import Action
from remit.policy.changes import Changes
from remit.policy.frames import Unpacker, pack
from remit.policy.link import (
    FROM_CONTROL,
    FROM_WORKER,
    Ack,
    Answer,
    AskPeople,
    Certified,
    Certify,
    DoorKind,
    Eyes,
    Failed,
    InForce,
    Listen,
    LogFailed,
    Message,
    Observed,
    Raise,
    Ready,
    Refused,
    Reserve,
    Said,
    Secrets,
    Serving,
    Settle,
    Svid,
    Welcome,
    Withdrawn,
)
from remit.policy.link_json import decode, encode
from remit.secret import Secret
from tests.policy.worlds import BOT, LLAMA, snapshot, task

HIDDEN = "not-for-any-eye"
SETTINGS = GatewaySettings(port=7500, idle_seconds=5.5)

MESSAGES: list[Message] = [
    Welcome("inference", "maple.local", Path("/a"), Path("/c"), Secret(HIDDEN), SETTINGS),
    Certify("inference-0.1", bytes(range(32)), 1.5),
    Certified({"key": "x"}),
    Ready(),
    Failed("no room"),
    InForce(snapshot(tasks=[task("infer")])),
    Changes(6, snapshot(tasks=[task("infer")]), (LLAMA, BOT)),
    Ack(7),
    Secrets({"demo": Secret(HIDDEN)}),
    Svid(Secret(HIDDEN)),
    Listen(LLAMA, DoorKind.TLS, "https://127.0.0.1:1"),
    Eyes(3),
    Serving("https://127.0.0.1:1"),
    Observed("default-deny", Action.INFER, LLAMA, 3, "01M8"),
    Refused("01M7", "half a pair \udc80", "default-deny", Action.INFER, LLAMA),
    LogFailed("no space", "make some"),
    Reserve(1, "t-1", {"calls": 1}),
    Settle("t-1", {"calls": 1}, {}),
    Raise(2, "t-1", "confidential", True),
    AskPeople(3, {"action": "call_tool"}),
    Withdrawn(3),
    Answer(3, {"pending": "a-1"}),
    Said("t-1", Secret(HIDDEN)),
]


def revealed(message: Message) -> str:
    """A message with its secrets open: they don't compare otherwise."""
    return json.dumps(encode(message), sort_keys=True)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_comes_back_as_it_was_byte_by_byte(message: Message) -> None:
    frames = Unpacker()
    [row] = [row for byte in pack(encode(message)) for row in frames.feed(bytes([byte]))]
    back = decode(row)
    assert type(back) is type(message)
    assert revealed(back) == revealed(message)
    if HIDDEN not in revealed(message):
        assert back == message


def test_there_is_one_of_each() -> None:
    assert {type(one) for one in MESSAGES} == {*FROM_CONTROL.values(), *FROM_WORKER.values()}
    assert not FROM_CONTROL.keys() & FROM_WORKER.keys()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_secret_is_not_in_its_repr(message: Message) -> None:
    assert HIDDEN not in repr(message)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"type": "nonsense"}, "no link message is called `nonsense`"),
        ({"type": "y" * 1000}, "no link message is called `y{40}`$"),
        ({"type": "ack"}, "`ack` has other fields than epoch"),
        ({"type": "ready", "pid": 1}, "`ready` has other fields than none"),
        ({"type": "ack", "epoch": "one"}, "`ack`: `epoch` is not a whole number"),
        ({"type": "ack", "epoch": True}, "`epoch` is not a whole number"),
        ({"type": "ack", "epoch": 1.0}, "`epoch` is not a whole number"),
        ({"type": "failed", "why": None}, "`why` is not text"),
        ({"type": "svid", "pem": [HIDDEN]}, "`svid`: `pem` is not a secret"),
        ({"type": "secrets", "held": {"demo": 1}}, "`held` is not an object of secrets"),
        ({"type": "secrets", "held": HIDDEN}, "`held` is not an object of secrets"),
        (
            {"type": "listen", "workload": "no", "kind": "tcp", "url": "x", "skin": "server"},
            "`workload` is not a SPIFFE ID",
        ),
        (
            {"type": "listen", "workload": str(LLAMA), "kind": "udp", "url": "x", "skin": "server"},
            "`kind` is not a kind of door",
        ),
        (
            {"type": "listen", "workload": str(LLAMA), "kind": "tcp", "url": "x", "skin": "soap"},
            "`skin` is not what is spoken at a door",
        ),
        ({"type": "certify", "shard": "s", "public": "zz", "started": 1}, "`public` is not hexadecimal"),
        ({"type": "certify", "shard": "s", "public": "11", "started": float("inf")}, "`started` is not a number"),
        ({"type": "certify", "shard": "s", "public": "11", "started": "1"}, "`started` is not a number"),
        ({"type": "snapshot", "snapshot": {}}, "`snapshot` is not a snapshot"),
        ({"type": "snapshot", "snapshot": snapshot().to_dict() | {"epoch": "1"}}, "`snapshot` is not a snapshot"),
        ({"type": "snapshot", "snapshot": snapshot().to_dict() | {"tasks": [1]}}, "`snapshot` is not a snapshot"),
        (
            {"type": "changes", "since": 1, "part": snapshot().to_dict(), "gone": "x"},
            "`gone` is not a list of SPIFFE",
        ),
        (encode(MESSAGES[0]) | {"settings": {}}, "`settings` has other fields"),
        (encode(MESSAGES[0]) | {"audit_dir": 5}, "`audit_dir` is not a path"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_message_is_refused_by_name_and_field(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ProtocolError, match=says) as refused:
        decode(row)
    assert HIDDEN not in str(refused.value)
