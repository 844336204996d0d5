"""Every relative link leads to a file, and every anchor to a heading."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, named, prose

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
OUTSIDE = ("https://", "http://", "mailto:")


def links() -> list[tuple[Path, str]]:
    return [(page, link) for page in PAGES for link in LINK.findall(prose(named(page)))]


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_resolve(page: Path) -> None:
    for where, link in links():
        if where != page or link.startswith(OUTSIDE):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)} links to {link}, which is not there"
        if anchor:
            assert anchor in {slug(one) for one in HEADING.findall(prose(named(target)))}, f"{named(page)}: {link}"


def test_there_are_links_to_check() -> None:
    assert len(links()) > 40
