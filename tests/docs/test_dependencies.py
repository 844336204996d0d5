"""docs/dependencies.md and pyproject.toml name the same packages."""

import re
import tomllib

import pytest

from tests.docs.pages import ROOT, rows

PAGE = "docs/dependencies.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> list[str]:
    return sorted(re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in requirements)


def in_file(name: str) -> list[str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return names([line for line in lines if line and not line.startswith("#")])


@pytest.mark.parametrize(
    ("heading", "declared"),
    [
        ("## At run time", names(PROJECT["dependencies"])),
        ("## For the demonstration model", in_file("demo.in")),
        ("## Peers of the tests", in_file("peers.in")),
        ("## For tests", names(PROJECT["optional-dependencies"]["test"])),
        ("## For development", names(PROJECT["optional-dependencies"]["dev"])),
    ],
)
def test_the_page_lists_what_is_declared(heading: str, declared: list[str]) -> None:
    listed = [row[0].strip("`") for row in rows(PAGE, heading)]
    assert sorted(listed) == declared


def test_each_has_a_licence_and_a_reason() -> None:
    for row in rows(PAGE):
        assert len(row) >= 3, row
        assert all(row), row
