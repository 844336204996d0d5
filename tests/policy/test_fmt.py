"""One layout for policy files: the same policies after as before, every comment where it was, and no third form."""

import json
from pathlib import Path

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import PolicyError
from remit.policy import PolicyFile, write_starter
from remit.policy.fmt import formatted
from remit.policy.schema import STARTER_TEXT
from tests.policy.test_cli import remit

UGLY = """

// What this file is for.


// About a.
@id("a") // why
permit(principal, // who
  action == Action::"infer",resource) when {principal.owner==resource.owner && // the owner
  // and so on
  true}; // done
@id("b") forbid(principal,action,resource) when { context.model.name == "// no comment" };

// The end.
"""
NEAT = """// What this file is for.

// About a.
@id("a") // why
permit (
  principal, // who
  action == Action::"infer",
  resource
)
when
{
  principal.owner == resource.owner && // the owner
  // and so on
  true
}; // done

@id("b")
forbid (principal, action, resource)
when { context.model.name == "// no comment" };

// The end.
"""


def fmt(text: str) -> str:
    return formatted(PolicyFile("p.cedar", text))


def test_a_file_is_laid_out_with_its_comments_where_they_were() -> None:
    assert fmt(UGLY) == NEAT
    assert fmt(NEAT) == NEAT
    assert fmt(STARTER_TEXT) == STARTER_TEXT
    assert fmt("") == ""
    assert fmt("// nothing yet") == "// nothing yet\n"


PIECES = st.sampled_from(
    [
        "// one\n", "//\n", "\n", "  ", "\n\n", '// "quoted"\n', "\r\n",
        'permit(principal,action,resource);', '@id("x // y")\nforbid(principal, action, resource) unless {true};',
        'permit(principal, action in [Action::"infer", // of these\nAction::"list"],resource)when{ // so\n true };',
        'permit(principal,action,resource) when { if context.stream then "a\\nb" == context.asked else false };',
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join))
@settings(max_examples=150, deadline=None)
def test_it_never_changes_what_is_said_nor_drops_a_comment(text: str) -> None:
    made = fmt(text)
    assert fmt(made) == made
    assert json.loads(cedarpy.policies_to_json_str(made)) == json.loads(cedarpy.policies_to_json_str(text))
    for comment in ("one", '"quoted"', "of these", "so"):
        assert made.count(f"// {comment}\n") == text.count(f"// {comment}\n")


def test_what_is_no_cedar_has_a_place() -> None:
    with pytest.raises(PolicyError, match=r"p\.cedar:1:"):
        fmt("permit(prinzipal, action, resource);")


def test_the_command_writes_or_only_checks(tmp_path: Path) -> None:
    where = tmp_path / "policies"
    write_starter(where)
    file = where / "mine.cedar"
    file.write_text(UGLY)
    file.chmod(0o640)
    checked = remit("fmt", "--check", state=tmp_path)
    assert (checked.returncode, file.read_text()) == (1, UGLY)
    assert checked.stdout.startswith("would change  mine.cedar\n2 files, 1 changed")
    assert json.loads(remit("fmt", "--json", state=tmp_path).stdout)["changed"] == ["mine.cedar"]
    assert (file.read_text(), file.stat().st_mode & 0o777) == (NEAT, 0o640)
    assert remit("fmt", "--check", state=tmp_path).returncode == 0
    assert sorted(path.name for path in where.iterdir()) == ["mine.cedar", "profiles", "starter.cedar"]
