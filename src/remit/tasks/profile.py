"""Profiles: named templates of tasks, as TOML files beside the policies. A task is never more than its own. Pure."""

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import takewhile
from typing import Any, Final

from remit.errors import PolicyError
from remit.tasks import declaration
from remit.tasks.declaration import MAX_TOOLS, Misfit, Path, of_kind
from remit.tasks.grant import ToolGrant
from remit.tasks.narrowing import Narrowing, Reach, narrowed

DIRECTORY: Final = "profiles"  # below the policy directory
SUFFIX: Final = ".toml"
STARTERS: Final = ("coding", "mail-assistant", "read-only-research")
KEYS: Final = ("purpose", "actions", "tools", "ceiling", "destinations", "budget", "present", "seconds")
MAX_FILE: Final = 262_144  # characters
MAX_SECONDS: Final = 7 * 24 * 3600  # the longest that a task lasts
NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,15}")
_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_PART: Final = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_HEADER: Final = re.compile(rf"\s*\[\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]\s*(?:#.*)?")
_KEY: Final = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")


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
    except Misfit as misfit:
        line, column = _place(text, misfit.path)
        raise PolicyError(misfit.message, file=file, line=line, column=column, hint=misfit.hint) from None


def _profile(name: str, tree: Mapping[str, Any]) -> Profile:
    declaration.known((), tree, KEYS)
    if "actions" not in tree:
        raise Misfit((), "`actions` is missing", 'a profile says what its tasks may do: `actions = ["infer"]`')
    seconds = of_kind(tree, "seconds", int, MAX_SECONDS)
    if not 1 <= seconds <= MAX_SECONDS:
        raise Misfit(("seconds",), f"`seconds` must be from 1 to {MAX_SECONDS}, not `{seconds}`")
    reach = Reach(
        declaration.actions(tree),
        _tools(of_kind(tree, "tools", dict, {})),
        declaration.ceiling(tree, "internal"),
        declaration.texts(tree, "destinations"),
        declaration.budget(tree),
        of_kind(tree, "present", bool, False),
    )
    return Profile(name, of_kind(tree, "purpose", str, ""), reach, seconds)


def _tools(rows: Mapping[str, Any]) -> tuple[ToolGrant, ...]:
    if len(rows) > MAX_TOOLS:
        raise Misfit(("tools",), f"more than {MAX_TOOLS} tools")
    return tuple(declaration.tool(name, row).alone() for name, row in rows.items())


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
