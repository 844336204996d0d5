"""Profiles: named templates of tasks, as TOML files beside the policies. A task is never more than its own. Pure."""

import functools
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import takewhile
from typing import Any, Final, TypeVar

from remit.config.checks import nearest
from remit.errors import PolicyError
from remit.tasks import constraint
from remit.tasks.budget import KINDS, UNLIMITED, Budget
from remit.tasks.constraint import Constraint
from remit.tasks.grant import KEYS as GRANT_KEYS
from remit.tasks.grant import ToolGrant
from remit.tasks.narrowing import Narrowing, Reach, ceiling_of, narrowed

DIRECTORY: Final = "profiles"  # below the policy directory
SUFFIX: Final = ".toml"
STARTERS: Final = ("coding", "mail-assistant", "read-only-research")
MAX_FILE: Final = 262_144  # characters
MAX_TOOLS: Final = 500
MAX_LIST: Final = 1_000
MAX_SECONDS: Final = 7 * 24 * 3600  # the longest that a task lasts
NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,15}")
# What tasks of a profile may be let do: what model servers and tools do. Nobody's template widens anybody's reach.
ACTIONS: Final = (
    *("infer", "embed", "list", "health", "administer", "disclose", "sample", "elicit"),
    *("call_tool", "retrieve", "read_resource", "get_prompt", "export", "use_credential"),
)
_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_PART: Final = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_HEADER: Final = re.compile(rf"\s*\[\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]\s*(?:#.*)?")
_KEY: Final = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")

Path = tuple[str, ...]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Profile:
    """One. `seconds` is the longest that a task of it lasts."""

    name: str
    purpose: str
    reach: Reach
    seconds: int = MAX_SECONDS


def of(profile: Profile, asked: Narrowing) -> Reach:
    """What a task of this profile may; raises WiderError for more than the profile lets happen."""
    return narrowed(profile.reach, asked, f"the profile `{profile.name}`")


def profiles(files: Iterable[tuple[str, str]]) -> dict[str, Profile]:
    """By name: the file's without `.toml`. `files` are names and texts; raises PolicyError with the place."""
    return {(one := parse(name, text)).name: one for name, text in files}


@functools.cache
def starters() -> Mapping[str, str]:
    """The texts of the profiles that come with Remit, by file name."""
    folder = resources.files(__package__).joinpath("starter")
    return {f"{name}{SUFFIX}": folder.joinpath(f"{name}{SUFFIX}").read_text(encoding="utf-8") for name in STARTERS}


def parse(file: str, text: str) -> Profile:
    """The profile of one file; raises PolicyError with the place, and the nearest key to one that means nothing."""
    name = file.removesuffix(SUFFIX)
    if not NAME.fullmatch(name) or len(text) > MAX_FILE:
        hint = "lower-case words joined by `-`, and `.toml`" if len(text) <= MAX_FILE else "split it into several"
        raise PolicyError("this can't be a profile's file", file=file, line=1, column=1, hint=hint)
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib: also integers of 4,301 digits, and deep nesting
        raise _no_toml(file, text, str(error)) from None
    try:
        return _profile(name, tree)
    except _Misfit as misfit:
        line, column = _place(text, misfit.path)
        raise PolicyError(misfit.message, file=file, line=line, column=column, hint=misfit.hint) from None


class _Misfit(Exception):  # noqa: N818 - of this file alone
    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path, self.message, self.hint = path, message, hint


def _profile(name: str, tree: Mapping[str, Any]) -> Profile:
    _known((), tree, ("purpose", "actions", "tools", "ceiling", "destinations", "budget", "present", "seconds"))
    if "actions" not in tree:
        raise _Misfit((), "`actions` is missing", 'a profile says what its tasks may do: `actions = ["infer"]`')
    seconds = _of(tree, "seconds", int, MAX_SECONDS)
    if not 1 <= seconds <= MAX_SECONDS:
        raise _Misfit(("seconds",), f"`seconds` must be from 1 to {MAX_SECONDS}, not `{seconds}`")
    reach = Reach(
        _actions(tree),
        _tools(_of(tree, "tools", dict, {})),
        _told(("ceiling",), lambda: ceiling_of(_of(tree, "ceiling", str, "internal"))),
        _texts(tree, "destinations"),
        _budget(_of(tree, "budget", dict, {})),
        _of(tree, "present", bool, False),
    )
    return Profile(name, _of(tree, "purpose", str, ""), reach, seconds)


def _actions(tree: Mapping[str, Any]) -> tuple[str, ...]:
    actions = _texts(tree, "actions")
    for action in actions:
        if action not in ACTIONS:
            raise _Misfit(("actions",), f"`{action}` is no action", nearest(action, list(ACTIONS), "", "actions"))
    return tuple(dict.fromkeys(actions))


def _tools(rows: Mapping[str, Any]) -> tuple[ToolGrant, ...]:
    if len(rows) > MAX_TOOLS:
        raise _Misfit(("tools",), f"more than {MAX_TOOLS} tools")
    return tuple(_grant(tool, row) for tool, row in rows.items())


def _grant(tool: str, row: Any) -> ToolGrant:
    at: Path = ("tools", tool)
    if not isinstance(row, dict):
        raise _Misfit(at, f"`tools.{tool}` must be a table", f'write `[tools."{tool}"]`')
    _known(at, row, GRANT_KEYS)
    others = _of(row, "others", bool, True, at)
    bounds = _of(row, "arguments", dict, {}, at)
    constraints = tuple((name, _constraint((*at, "arguments", name), bound)) for name, bound in bounds.items())
    return _told(at, lambda: ToolGrant(tool, constraints, others))


def _constraint(at: Path, row: Any) -> Constraint:
    if not isinstance(row, dict):
        raise _Misfit(at, f"`{at[-1]}` must be a table of conditions", 'such as `{ one_of = ["a"] }`')
    _known(at, row, constraint.KEYS)
    return _told(at, lambda: Constraint.from_dict(row))


def _budget(row: Mapping[str, Any]) -> Budget:
    _known(("budget",), row, KINDS)
    return _told(("budget",), lambda: Budget.from_dict(row)) if row else UNLIMITED


def _told(at: Path, made: Callable[[], Value]) -> Value:
    try:
        return made()
    except ValueError as error:
        raise _Misfit(at, str(error)) from None


def _of(row: Mapping[str, Any], key: str, kind: type[Value], unsaid: Value, at: Path = ()) -> Value:
    value = row.get(key, unsaid)
    if type(value) is not kind:
        raise _Misfit((*at, key), f"`{'.'.join((*at, key))}` must be {_KINDS[kind]}, not `{value!r}`")
    return value


_KINDS: Final[Mapping[type, str]] = {str: "a string", int: "a whole number", bool: "true or false", dict: "a table"}


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row.get(key, [])
    if not isinstance(value, list) or len(value) > MAX_LIST or not all(isinstance(one, str) and one for one in value):
        raise _Misfit((key,), f"`{key}` must be a list of strings, at most {MAX_LIST:,}")
    return tuple(value)


def _known(at: Path, row: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in row:
        if key not in known:
            where = "".join(f"{part}." for part in at)
            raise _Misfit((*at, key), f"`{where}{key}` means nothing", nearest(key, list(known), ""))


def _no_toml(file: str, text: str, told: str) -> PolicyError:
    found = _AT.search(told)
    last = text.count("\n") + 1
    line, column = (int(found[1]), int(found[2])) if found and found[1] else (last, 1)
    return PolicyError(_AT.sub("", told).lower(), file=file, line=line, column=column)


def _place(text: str, path: Path) -> tuple[int, int]:
    """The 1-based line and column of what a path leads to, or of what is nearest above it: tomllib keeps none."""
    best, place = 0, (1, 1)
    for number, line, here in _lines(text):
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(here, path, strict=False)))
        if common > best:
            last = re.search(rf"(?<![\w-]){re.escape(path[-1])}(?![\w-])", line)
            best, place = common, (number, (last.start() if last else len(line) - len(line.lstrip())) + 1)
    return place


def _lines(text: str) -> Iterator[tuple[int, str, Path]]:
    """Each line that begins a table or a key, with its path."""
    table: Path = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line.rstrip("\r")):
            table = _parts(header[1])
            yield number, line, table
        elif key := _KEY.match(line):
            yield number, line, (*table, *_parts(key[1]))


def _parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))
