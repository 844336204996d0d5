"""The catalogue: what is listed, what stands for the rest, and mistakes told with their place."""

import pytest

from remit.errors import PolicyError
from remit.policy.catalogue import NAME, things
from remit.policy.snapshot import PolicyFile
from remit.policy.thing import EVERY_UNKNOWN, Thing, ThingKind

GOOD = """
[tool."mail/send"]
owner = "ada"
label = "internal"
side_effects = true
server = "spiffe://maple.local/tool/mail"

[source.inbox]
trusted = false
label = "confidential"

[destination."example.com"]
clearance = "confidential"
internal = true

[credential.github]
owner = "ada"
"""


def listed(text: str) -> tuple[Thing, ...]:
    return things([PolicyFile("a.cedar", "not this"), PolicyFile(NAME, text)])


def test_what_is_listed_is_known_and_what_is_left_out_is_the_strictest() -> None:
    by_id = {one.id: one.to_entity()["attrs"] for one in listed(GOOD)}
    assert set(by_id) == {"mail/send", "inbox", "example.com", "github"}
    assert by_id["mail/send"]["known"]
    assert by_id["inbox"]["label"] == "confidential"
    assert by_id["example.com"]["clearance"] == 2
    assert by_id["github"]["label"] == "restricted"
    assert listed("") == ()
    unknown = {one.kind: one.to_entity()["attrs"] for one in EVERY_UNKNOWN}
    assert unknown[ThingKind.TOOL]["side_effects"]
    assert unknown[ThingKind.DESTINATION]["clearance"] == 0
    assert not any(attributes.get("known") or attributes.get("trusted") for attributes in unknown.values())


@pytest.mark.parametrize(
    ("text", "line", "said", "hint"),
    [
        ("[tool.x", 1, "Expected", ""),
        ('\n[tol.x]\nlabel = "public"', 2, "`tol` is no kind of thing", "`tool`"),
        ('[tool.x]\nlabl = "public"', 2, "`tool.x.labl` means nothing", "`label`"),
        ('[tool.x]\nlabel = "secret"', 2, "`secret` is no label", "public, internal"),
        ("[tool.x]\nside_effects = 1", 2, "must be a boolean", ""),
        ("tool = 1", 1, "`tool` is a table", "[tool."),
        ("[source]\nx = 1", 2, "`source.x` is a table", "[source."),
        ("[tool.unknown]\n", 1, "can't be a name", "not `unknown`"),
        ("[task.x]\n", 1, "`task` is no kind of thing", ""),
        ('[destination.x]\nclearance = "untrusted"', 2, "`untrusted` is no label", ""),
    ],
)
def test_a_mistake_has_a_place_and_says_what_to_write(text: str, line: int, said: str, hint: str) -> None:
    with pytest.raises(PolicyError, match=r"catalogue\.toml") as caught:
        listed(text)
    assert said in str(caught.value)
    assert f":{line}:" in str(caught.value)
    assert hint in caught.value.hint
