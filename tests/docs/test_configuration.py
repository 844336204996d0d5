"""docs/configuration.md has every setting with its default, and says where files are."""

import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from remit.config import Places, Settings, parse
from tests.docs.pages import blocks, rows, text


def settings(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf of the settings by its dotted name."""
    found: dict[str, Any] = {}
    for item in fields(tree):
        value = getattr(tree, item.name)
        if is_dataclass(value):
            found |= settings(value, f"{prefix}{item.name}.")
        else:
            found[prefix + item.name] = value
    return found


def code(cell: str) -> str:
    assert cell[0] == cell[-1] == "`", cell
    return cell[1:-1]


def test_every_key_is_there_with_its_default() -> None:
    table = [row for row in rows("docs/configuration.md") if len(row) == 4]
    written = {code(key): tomllib.loads(f"it = {code(default)}")["it"] for key, default, _, _ in table}
    real = {key: list(value) if isinstance(value, tuple) else value for key, value in settings(Settings()).items()}
    assert written == real


def test_times_and_sizes_have_their_unit() -> None:
    for key, _, unit, meaning in (row for row in rows("docs/configuration.md") if len(row) == 4):
        assert (unit == "seconds") == key.endswith("_seconds`"), key
        assert (unit == "bytes") == key.endswith("_bytes`"), key
        assert meaning, key


def test_the_example_loads() -> None:
    for block in blocks("docs/configuration.md", "toml"):
        assert parse(block.encode(), "the page's example") != Settings()


def test_the_places_are_where_the_page_says() -> None:
    environ = {"HOME": "/home/ada", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}
    xdg, given = Places.of(None, environ), Places.of(Path("/d"), environ)
    page = text("docs/configuration.md")
    for what, ours, theirs in (
        ("this file", xdg.config, given.config),
        ("policies", xdg.policies, given.policies),
        ("state", xdg.state, given.state),
        ("sockets", xdg.run, given.run),
    ):
        row = next(line for line in page.splitlines() if line.startswith(f"| {what} |"))
        for name, value in environ.items():
            row = row.replace(f"${name}/", f"{value}/")
        cells = [cell.strip().strip("`").rstrip("/") for cell in row.split("|")[2:4]]
        assert cells == [str(ours), str(theirs).replace("/d", "DIR", 1)]


def test_without_xdg_the_home_directory_is_used() -> None:
    places = Places.of(None, {"HOME": "/home/ada"})
    page = text("docs/configuration.md")
    for place in (places.config.parents[1], places.state.parent):
        assert f"`{str(place).replace('/home/ada', '~')}`" in page
