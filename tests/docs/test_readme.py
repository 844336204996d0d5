"""What README, CONTRIBUTING and the other pages tell people to type exists; what they say of the house is so."""

import re

from remit import __version__
from remit.policy.link import FROM_CONTROL, FROM_WORKER
from tests.docs.pages import PAGES, ROOT, blocks, named, rows, text
from tests.docs.test_help import all_commands
from tests.house.test_floors import FLOORS, SOURCE

TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
MAKE = re.compile(r"(?:^|`)(?:\$ )?make ([a-z-]+)", re.MULTILINE)
REMIT = re.compile(r"(?:^|`|\"\$\()(?:\$ )?remit ((?:[a-z]+(?:-[a-z]+)* ?)+)", re.MULTILINE)
OPTIONS = re.compile(r"remit ([a-z]+(?:-[a-z]+)*(?: [a-z]+)?)([^`\n|]* \[?--[^`\n|]*)")
EVENT = re.compile(r'"event": "([a-z]+)"')


def test_every_make_target_named_exists() -> None:
    targets = set(TARGET.findall(text("Makefile")))
    for page in PAGES:
        for target in MAKE.findall(text(named(page))):
            assert target in targets, f"{named(page)}: make {target}"


def test_every_command_named_exists() -> None:
    known = {tuple(line.split()[1:-1]) for line in all_commands()}
    for page in PAGES:
        for words in REMIT.findall(text(named(page))):
            said = tuple(words.split())
            assert any(said[:length] in known for length in (1, 2) if said), f"{named(page)}: remit {words}"
            if said[0] in {"task", "policy", "audit"} and len(said) > 1:
                assert said[:2] in known, f"{named(page)}: remit {words}"


def test_every_option_named_is_that_commands() -> None:
    shown = {block.partition("\n")[0].removeprefix("$ "): block for block in blocks("docs/commands.md")}
    for page in PAGES:
        for words, rest in OPTIONS.findall(text(named(page))):
            help_text = shown.get(f"remit {words} --help") or shown.get(f"remit {words.split()[0]} --help")
            assert help_text is not None, f"{named(page)}: remit {words}"
            for option in re.findall(r"--[a-z-]+", rest):
                assert option in help_text, f"{named(page)}: remit {words} {option}"


def test_the_events_named_are_all_there_are() -> None:
    said = set()
    for path in (*sorted((SOURCE / "control").glob("*.py")), SOURCE / "app.py", SOURCE / "cli" / "up.py"):
        said |= set(EVENT.findall(path.read_text()))
    line = text("README.md").split("each with an `event`:")[1].split(". ")[0]
    assert set(re.findall(r"`([a-z]+)`", line)) == said


def test_the_house_is_as_it_is_described() -> None:
    section = text("ARCHITECTURE.md").split("<!-- floors -->")[1].split("<!-- end -->")[0]
    told = [set(re.findall(r"(?:\| |· )`([a-z_]+)`", line)) for line in section.splitlines() if "`" in line]
    there = {
        path.stem if path.is_file() else path.name for path in SOURCE.iterdir() if not path.name.startswith("__")
    }
    built = [set(floor) & there for floor in reversed(FLOORS)]
    assert told == [floor for floor in built if floor]


def test_files_that_are_named_exist() -> None:
    for page in ("ARCHITECTURE.md", "CONTRIBUTING.md", *(named(one) for one in PAGES if "decisions" in one.parts)):
        for path in re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)`", text(page)):
            assert (SOURCE / path).exists() or (ROOT / path).exists(), f"{page}: {path}"


def test_the_changelog_begins_with_this_version() -> None:
    assert re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)[0] == __version__


def test_the_first_screen_has_no_marketing() -> None:
    assert not re.search(r"!\[|shields\.io|badge", text("README.md"))
    assert list(rows("README.md"))


def test_the_link_s_messages_are_all_there_are() -> None:
    listed = list(rows("ARCHITECTURE.md", "### The link"))
    for column, sent in ((0, FROM_CONTROL), (2, FROM_WORKER)):
        assert {name for row in listed for name in re.findall(r"`([a-z_]+)`", row[column])} == sent.keys()
