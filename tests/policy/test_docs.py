"""The policy page: its examples load, its rules and names are the program's."""

import re
from pathlib import Path

import pytest

from remit.errors import PolicyError
from remit.policy import Action, PolicyFile, load
from remit.policy.catalogue import NAME, OWN, things
from remit.policy.refusal import EXPIRED, NO_SUCH_WORKLOAD, NOT_ACTIVE, OUTSIDE_TASK, POLICY_ERROR, UNKNOWN_CALLER
from remit.policy.schema import words

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


def test_the_example_loads() -> None:
    for block in re.findall(r"```cedar\n(.*?)```", PAGE, re.DOTALL):
        assert len(load([PolicyFile("page.cedar", block)]).policies) == 2


def test_the_rules_named_are_all_there_are() -> None:
    built_in = {EXPIRED.rule, NO_SUCH_WORKLOAD.rule, UNKNOWN_CALLER.rule, NOT_ACTIVE, OUTSIDE_TASK, POLICY_ERROR}
    assert set(re.findall(r"`(remit:[a-z-]+)`", PAGE)) == built_in


def test_the_names_in_the_tables_are_the_schemas() -> None:
    rows = re.findall(r"^\| (?:`principal`|`resource`|`context`|actions).*$", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"principal", "resource", "context"}
    assert named <= words()
    assert {action.value for action in Action} <= named


def test_the_catalogue_shown_loads_and_its_table_is_the_program_s() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(things([PolicyFile(NAME, block)])) == 4
    rows = re.findall(
        r"^\| ((?:`(?:tool|source|destination|credential|model|subject)`[^|]*))\|([^|]*)\|", PAGE, re.MULTILINE
    )
    said = {kind: set(re.findall(r"`(\w+)`", keys)) for kinds, keys in rows for kind in re.findall(r"`(\w+)`", kinds)}
    assert said == {kind.value.lower(): set(own) for kind, own in OWN.items()}
    for kind in said:
        common = 'owner = "ada"\nenvironment = "prod"\nlabel = "public"'
        assert things([PolicyFile(NAME, f"[{kind}.it]\n{common}")])[0].label == "public"


def test_the_error_shown_is_the_error_given() -> None:
    text = '@id("x")\npermit(principal, action, resource)\nwhen { principal.ownr == resource.owner };'
    with pytest.raises(PolicyError) as caught:
        load([PolicyFile("mine.cedar", text)])
    assert f"remit: {caught.value}\n  hint: {caught.value.hint}" in PAGE
