"""Classes of arguments by general rules, and the values that are judged by them."""

import pytest

from remit.flow import ArgumentClass, Value, classes, values
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
    ],
)
def test_a_link_in_a_text_is_a_value_of_its_own(text: str, links: list[str]) -> None:
    assert [one.text for one in values({"body": text}, {"/body": TEXT}) if one.kind is LINK] == links


def test_nothing_that_is_no_words_is_a_value() -> None:
    assert values({"a": None, "b": True, "c": "", "d": [], "e": 5}, {"/e": AMOUNT}) == [Value("/e", AMOUNT, "5")]
