"""Reads the settings from one TOML file, once; an error names the key."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from remit.config.checks import check, nearest
from remit.config.settings import (
    ApprovalSettings,
    AuthoritySettings,
    DecisionsSettings,
    DiscoverySettings,
    GatewaySettings,
    GuardSettings,
    LoginSettings,
    OidcSettings,
    PolicySettings,
    PresenceSettings,
    ProofSettings,
    RolesSettings,
    Settings,
    SpireSettings,
)
from remit.errors import ConfigError

MAX_CONFIG_BYTES: Final = 1 << 20
_TABLES: Final = frozenset(
    {
        GatewaySettings,
        DiscoverySettings,
        GuardSettings,
        AuthoritySettings,
        OidcSettings,
        SpireSettings,
        LoginSettings,
        ProofSettings,
        RolesSettings,
        PolicySettings,
        ApprovalSettings,
        PresenceSettings,
        DecisionsSettings,
    }
)


def load(path: Path) -> Settings:
    """The settings in `path`, or the defaults when there is no such file; raises ConfigError that names the key."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise ConfigError(f"`{path}` can't be read: {error.strerror}", hint="mend its permissions") from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"`{path}` is larger than {MAX_CONFIG_BYTES} bytes")
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> Settings:
    """The settings in the TOML text `raw`; `name` is its file in errors."""
    try:
        tree = tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{name}` is not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"`{name}` is not TOML: {error}") from error
    settings: Settings = _build(Settings, tree, name, "")
    check(settings, name)
    return settings


def _build(kind: Any, tree: dict[str, Any], name: str, prefix: str) -> Any:
    known = {item.name for item in fields(kind)}
    hints = get_type_hints(kind)
    values = {}
    for key, value in tree.items():
        if key not in known:
            raise ConfigError(f"`{name}`: unknown key `{prefix}{key}`", hint=nearest(key, sorted(known), prefix))
        values[key] = _value(hints[key], value, name, prefix + key)
    return kind(**values)


def _value(hint: Any, value: Any, name: str, key: str) -> Any:
    if hint in _TABLES:
        if not isinstance(value, dict):
            raise ConfigError(f"`{name}`: `{key}` must be a table")
        return _build(hint, value, name, key + ".")
    if hint == Mapping[str, tuple[int, ...]]:
        return _people(value, name, key)
    if hint == Mapping[str, str]:
        return _words(value, name, key)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"`{name}`: `{key}` must be a list of strings, not `{value!r}`")
        return tuple(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"`{name}`: `{key}` must be a number, not `{value!r}`")
    if type(value) is not hint:
        raise ConfigError(f"`{name}`: `{key}` must be a {hint.__name__}, not `{value!r}`")
    return value


def _words(value: Any, name: str, key: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ConfigError(f"`{name}`: `{key}` must be a table of strings, not `{value!r}`")
    return value


def _people(value: Any, name: str, key: str) -> dict[str, tuple[int, ...]]:
    """Each person's accounts; one account acts for one person."""
    if not isinstance(value, dict):
        raise ConfigError(f"`{name}`: `{key}` must be a table")
    of_whom: dict[int, str] = {}
    for person, uids in value.items():
        if not isinstance(uids, list) or not uids or not all(type(uid) is int and uid >= 0 for uid in uids):
            raise ConfigError(f"`{name}`: `{key}.{person}` must be a list of uids, not `{uids!r}`")
        for uid in uids:
            if of_whom.setdefault(uid, person) != person:
                raise ConfigError(f"`{name}`: uid {uid} is both `{key}.{of_whom[uid]}`'s and `{key}.{person}`'s")
    return {person: tuple(uids) for person, uids in value.items()}
