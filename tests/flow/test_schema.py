"""Classes of arguments by general rules, and the values that are judged by them."""

import pytest

from remit.errors import ProtocolError
from remit.flow import ArgumentClass, Value, classes, values
from remit.flow.links import MOST_LINKS, UNREAD, links
from remit.flow.values import MOST_VALUES

RECIPIENT, ACCOUNT, URL, PATH, COMMAND, AMOUNT, LINK, TEXT, OTHER = ArgumentClass


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("to", {}, RECIPIENT),
        ("sendTo", {}, RECIPIENT),
        ("ccAddresses", {}, RECIPIENT),
        ("x", {"format": "email"}, RECIPIENT),
        ("x", {"type": "array", "items": {"format": "email"}}, RECIPIENT),
        ("x", {"anyOf": [{"type": "null"}, {"format": "uri"}]}, URL),
        ("who", {"description": "The e-mail address it goes to"}, RECIPIENT),
        ("recipient", {"description": "IBAN of the recipient"}, ACCOUNT),
        ("webhookURL", {}, URL),
        ("target", {"description": "URL of the page"}, URL),
        ("file_path", {}, PATH),
        ("cmd", {}, COMMAND),
        ("SQL", {}, COMMAND),
        ("new_password", {}, ACCOUNT),
        ("amount", {"type": "number"}, AMOUNT),
        ("body", {}, TEXT),
        ("email_id", {}, OTHER),
        ("file_id", {"description": "The path of the file"}, OTHER),
        ("recurring", {"type": "boolean"}, OTHER),
        ("channel", {"enum": ["a", "b"]}, OTHER),
        ("when", {"description": "The day"}, OTHER),
    ],
)
def test_an_argument_has_the_class_that_its_schema_tells(
    name: str, said: dict[str, object], kind: ArgumentClass
) -> None:
    assert classes({"type": "object", "properties": {name: said}}) == {f"/{name}": kind}


def test_nested_and_referred_to_properties_have_their_own() -> None:
    schema = {
        "properties": {
            "mail": {"$ref": "#/$defs/Mail"},
            "attachments": {"type": "array", "items": {"properties": {"path": {}, "a/b": {"format": "uri"}}}},
        },
        "$defs": {"Mail": {"properties": {"to": {}, "again": {"$ref": "#/$defs/Mail"}}}},
    }
    found = classes(schema)
    assert found["/mail/to"] is RECIPIENT
    assert found["/mail/again/to"] is RECIPIENT
    assert found["/attachments/path"] is PATH
    assert found["/attachments/a~1b"] is URL


def test_a_schema_that_refers_to_itself_is_read_as_deep_as_it_says_something_new() -> None:
    node = {"properties": {side: {"$ref": "#/$defs/Node"} for side in ("left", "middle", "right")} | {"to": {}}}
    found = classes({"$ref": "#/$defs/Node", "$defs": {"Node": node}})
    assert found["/left/to"] is RECIPIENT
    assert len(found) == (1 + 3) + 3 * (1 + 3)
    deeper = values({"left": {"left": {"left": {"left": {"to": "e@x.example"}}}}}, found)
    assert Value("/left/left/left/left/to", RECIPIENT, "e@x.example") in deeper


@pytest.mark.parametrize("word", ["properties", "anyOf"])
def test_a_schema_that_unfolds_without_end_is_refused_at_once(word: str) -> None:
    def twice(number: int) -> dict[str, object]:
        both = [{"$ref": f"#/$defs/d{number + 1}", "title": side} for side in "ab"]
        return {word: dict(zip("ab", both, strict=True)) if word == "properties" else both}

    bomb = {"properties": {"to": {"$ref": "#/$defs/d0"}}, "$defs": {f"d{n}": twice(n) for n in range(24)}}
    if word == "anyOf":  # each part of it once
        assert classes(bomb) == {"/to": RECIPIENT}
    else:
        with pytest.raises(ProtocolError, match="unfolds to more than 65536 parts"):
            classes(bomb)


def test_an_override_is_the_last_word() -> None:
    schema: dict[str, object] = {"properties": {"hotel": {}}}
    assert classes(schema) == {"/hotel": OTHER}
    assert classes(schema, {"/hotel": RECIPIENT}) == {"/hotel": RECIPIENT}


def test_every_value_is_judged_by_the_class_of_its_place() -> None:
    kinds = {"/to": RECIPIENT, "/body": TEXT, "/mail": OTHER, "/mail/cc": RECIPIENT}
    call = {
        "to": ["a@x.example", "Bob <b@x.example>; c@x.example"],
        "body": "see www.x.example/a.",
        "mail": {"cc": "d"},
    }
    assert values(call, kinds) == [
        Value("/to/0", RECIPIENT, "a@x.example"),
        Value("/to/1", RECIPIENT, "b@x.example"),
        Value("/to/1", RECIPIENT, "c@x.example"),
        Value("/body", TEXT, "see www.x.example/a."),
        Value("/body", LINK, "www.x.example/a"),
        Value("/mail/cc", RECIPIENT, "d"),
    ]


def test_a_second_recipient_behind_a_line_end_is_one_more() -> None:
    found = values({"to": "a@x.example\r\nBcc: e@x.example"}, {"/to": RECIPIENT})
    assert [one.text for one in found] == ["a@x.example", "Bcc: e@x.example"]


@pytest.mark.parametrize("odd", ["a@x.example\u00a0", "\u3000a@x.example", "a@x.example\x1c"])
def test_a_blank_that_is_not_plain_stays_a_part_of_its_value(odd: str) -> None:
    assert [one.text for one in values({"to": f" {odd} "}, {"/to": RECIPIENT})] == [odd]


def test_what_the_schema_does_not_know_is_judged_by_its_name() -> None:
    assert values({"bcc": "e@x.example", "zzz": "what"}, {"/to": RECIPIENT}) == [
        Value("/bcc", RECIPIENT, "e@x.example"),
        Value("/zzz", OTHER, "what"),
    ]
    shared = values({"shared_with": {"e@x.example": "rw"}}, {"/shared_with": RECIPIENT})
    assert Value("/shared_with/e@x.example", RECIPIENT, "e@x.example") in shared


def test_too_many_or_too_deep_values_are_ones_that_nobody_said() -> None:
    many = values({"to": ["a@x.example"] * (MOST_VALUES + 1)}, {"/to": RECIPIENT})
    deep: object = "a@x.example"
    for _ in range(100):
        deep = [deep]
    for found in (many, values({"to": deep}, {"/to": RECIPIENT})):
        assert {one.kind for one in found if one.text == "\x00"} == set(ArgumentClass)


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see https://x.example/a?b=1.", ["https://x.example/a?b=1"]),
        ("see www.x.example, please", ["www.x.example"]),
        ("see x.example and y.co.example/path", ["x.example", "y.co.example/path"]),
        ("report.docx, notes.txt, e.g. 1.50 at 9.30am", []),
        ("write to bob@x.example", []),
        ("see X.EXAMPLE or Y.Example:8080/p", ["X.EXAMPLE", "Y.Example:8080/p"]),
        ("WWW.X.EXAMPLE", ["WWW.X.EXAMPLE"]),
        ("Link:x.example", ["x.example"]),
        ("so...x.example", ["x.example"]),
        ("[here](//x.example/p)", ["x.example/p"]),
        ("https:x.example", ["x.example"]),
        ("https:/x.example https:\\\\x.example/p", ["https://x.example", "https://x.example/p"]),
        ("x.zip/p, x.md?q=1, x.sh:8080, but payload.zip", ["x.zip/p", "x.md?q=1", "x.sh:8080"]),
        ("10.0.0.7/p and version 10.0.0.7", ["10.0.0.7/p"]),
        ("a.txt?u=https://x.example", ["a.txt?u=https://x.example", "https://x.example"]),
        ("\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444", ["\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444"]),
        ("x.xn--p1ai", ["x.xn--p1ai"]),
        ("x\u3002example \uff58\uff0eexample", ["x.example"]),
        ('<a href="https&#58;//x&#46;example">', ["https://x.example"]),
        ("x.exam\u200bple", ["x.exam", "x.example"]),
        ("ask @x.example or y.example@", ["x.example", "y.example"]),
        ("docs/read.draft C:/Users/x.example", []),
        ("https://x.example/" + "a" * 2048, ["\x00"]),
    ],
)
def test_a_link_in_a_text_is_a_value_of_its_own(text: str, links: list[str]) -> None:
    assert [one.text for one in values({"body": text}, {"/body": TEXT}) if one.kind is LINK] == links


def test_more_links_than_are_looked_at_are_one_more_that_nobody_said() -> None:
    found = links(" ".join(f"x{number}.example" for number in range(MOST_LINKS + 9)))
    assert len(found) == MOST_LINKS + 1
    assert found[-1] == UNREAD
    assert links("x.example " * 9_999) == ["x.example"]


@pytest.mark.parametrize("piece", ["a.", "a", "https:", "//", "a.b/", "&amp", "1.2.3.4/", "http:/", "x.txt?"])
def test_no_text_takes_long_to_look_for_links_in(piece: str) -> None:
    assert len(links(piece * 100_000)) <= MOST_LINKS + 1  # in 40 ms; what is quadratic would take minutes


def test_nothing_that_is_no_words_is_a_value() -> None:
    assert values({"a": None, "b": True, "c": "", "d": [], "e": 5}, {"/e": AMOUNT}) == [Value("/e", AMOUNT, "5")]
