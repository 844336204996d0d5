"""The profile that docs/tasks.md shows is one, and every condition and key is in the page."""

import re
from pathlib import Path
from typing import Final

from remit.detect import Label
from remit.tasks import constraint
from remit.tasks.profile import STARTERS, parse

PAGE: Final = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()


def test_the_example_loads_and_lets_happen_what_it_says() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    profile = parse("mine.toml", example)
    assert (profile.reach.ceiling, profile.reach.present, profile.seconds) == (Label.CONFIDENTIAL, True, 7_200)
    read, send = profile.reach.tools
    assert read.covers("mail/read_thread", {})
    mail = {"to": "bob@maple.example", "subject": "x", "body": "y"}
    assert send.covers("mail/send", mail)
    assert not send.covers("mail/send", {**mail, "bcc": "eve@evil.example"})


def test_every_condition_and_starter_is_named() -> None:
    for key in constraint.KEYS:
        assert f"| `{key}" in PAGE, key
    for name in STARTERS:
        assert f"`{name}`" in PAGE, name
