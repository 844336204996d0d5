"""The catalogue of rules: TOML files, read and checked whole."""

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from remit.detect.rule import Rule
from remit.errors import ConfigError

SHIPPED: Final = Path(__file__).parent / "rules"
TASK_TOKEN: Final = "remit-task-token"  # noqa: S105 - a rule's id
SESSION_TOKEN: Final = "remit-session-token"  # noqa: S105 - a rule's id
HELD: Final = "remit-held"
ALWAYS_MASKED: Final = frozenset({TASK_TOKEN, SESSION_TOKEN, HELD})
"""Rules whose findings are masked whatever a policy says: what Remit itself holds or issued."""


def load_rules(directory: Path = SHIPPED) -> tuple[Rule, ...]:
    """Every rule of `directory`/*.toml in order of file and place; raises ConfigError, naming file and rule."""
    rules = [rule for file in sorted(directory.glob("*.toml")) for rule in _read(file)]
    if not rules:
        raise ConfigError(f"no rules in `{directory}`", hint="a detector without rules would find nothing")
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen or rule.id == HELD:
            raise ConfigError(f"rule `{rule.id}` is there twice, or reserved", hint="give one of them another id")
        seen.add(rule.id)
    return tuple(rules)


def digest_of(rules: Iterable[Rule]) -> bytes:
    """SHA-256 of what the fast filter is compiled from."""
    return hashlib.sha256(repr([rule.beginnings for rule in rules]).encode()).digest()


def _read(file: Path) -> list[Rule]:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file.name}: can't be read: {error}") from error
    extra = sorted(document.keys() - {"rule"})
    if extra:
        raise ConfigError(f"{file.name}: unknown key `{extra[0]}`, did you mean `rule`")
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{file.name}: `rule` is not a list of tables", hint="each rule starts with `[[rule]]`")
    return [Rule.from_row(table, file.name) for table in tables]
