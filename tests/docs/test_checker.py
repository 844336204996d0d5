"""docs/checker.md says what the walls around the checker of passwords let through on conditions, and its figures."""

from remit.persons.checker import CHECK_SECONDS, PASSWORD_SECONDS
from remit.persons.checker_walls import DIRECTORIES, PARENT, WALLS
from remit.persons.lockout import FIRST_SECONDS, FREE, MOST_SECONDS
from remit.persons.typed_password import MAX_BYTES
from tests.docs.pages import text

PAGE = "docs/checker.md"


def test_each_call_that_is_allowed_on_conditions_or_to_the_parent_alone_is_there() -> None:
    page = text(PAGE)
    for call in (*PARENT.only, *(PARENT.allow - WALLS.allow), *DIRECTORIES):
        assert f"`{call}`" in page, call


def test_the_figures_are_the_programs() -> None:
    page = " ".join(text(PAGE).split())
    assert f"at most {MAX_BYTES} bytes on one line within {PASSWORD_SECONDS:.0f} s" in page
    assert f"asks PAM, which has {CHECK_SECONDS} s" in page
    assert FREE == 3
    assert f"the third makes the account wait {FIRST_SECONDS:.0f} s" in page
    assert f"up to {MOST_SECONDS / 60:.0f} minutes" in page
