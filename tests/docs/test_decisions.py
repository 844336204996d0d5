"""Each decision record has its parts, in order, and keeps to a page."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

RECORDS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
SECTIONS = ["Context", "Decision", "Consequences", "Roads not taken"]
MOST_WORDS = 500


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_record_has_its_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert part.strip()
    assert len(re.findall(r"^- \*\*", text.split("## Roads not taken")[1], re.MULTILINE)) >= 3
    assert len(text.split()) <= MOST_WORDS


def test_records_are_numbered_without_a_gap() -> None:
    for number, path in enumerate(RECORDS, 1):
        assert path.name.startswith(f"{number:04d}-")
        assert path.read_text(encoding="utf-8").startswith(f"# {number}. ")
    assert RECORDS
