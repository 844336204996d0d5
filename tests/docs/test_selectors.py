"""The table of selectors in docs/callers.md is the program's own."""

from remit.identity.selectors import KINDS
from tests.docs.pages import rows


def test_the_page_says_of_each_selector_what_it_proves_and_why_less() -> None:
    told = [
        (kind.strip("`"), proves, weaker.replace("`", ""))
        for kind, proves, weaker in rows("docs/callers.md", "## Selectors")
    ]
    program = [(name, kind.proves, kind.weaker.replace("`", "")) for name, kind in KINDS.items()]
    assert told == [row for row in program if not row[0].startswith("parent:parent:")]
