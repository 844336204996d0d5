"""TOML that breaks its reader otherwise than by its grammar is a mistake with a place, too."""

import pytest

from remit.errors import PolicyError, RemitError
from remit.policy.cases import case_file
from remit.policy.catalogue import NAME, things
from remit.policy.snapshot import PolicyFile
from remit.tasks.profile import parse

BREAKING = ("x = " + "1" * 5_000, "x = " + "[" * 20_000)


@pytest.mark.parametrize("text", BREAKING, ids=["digits", "depth"])
def test_it_is_told_and_breaks_nothing(text: str) -> None:
    with pytest.raises(PolicyError):
        things([PolicyFile(NAME, text)])
    with pytest.raises(RemitError):
        case_file("a.test.toml", text)
    with pytest.raises(RemitError):
        parse("a.toml", text)
