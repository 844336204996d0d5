"""Selectors: what can be asked of a process to tell whose it is, named as SPIRE's unix attestor names them; pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from remit.errors import IdentityError
from remit.identity.process import Process

MAX_SELECTOR: Final = 4096 + 64  # characters: PATH_MAX and the kind
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PATH: Final = re.compile(r"(mnt:\[\d+\])?/.*")
_TEXT: Final = re.compile(r".+")

Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of selector. `of` gives a process's values; none where they are unknown, and then nothing matches.

    `many`: a process may have several values, so that selectors of this kind don't exclude each other. `proves` and
    `weaker` (why it proves less than it seems to; empty where it does not) are for people.
    """

    of: Callable[[Process], Values]
    form: re.Pattern[str]
    proves: str
    weaker: str = ""
    many: bool = False


def _known(*values: object) -> Values:
    texts = (str(value) for value in values if value is not None)
    return tuple(text for text in texts if text.isprintable())  # a path that could write to a terminal is no value


def _exe(process: Process) -> Values:
    return () if process.exe_deleted else _known(process.exe)  # a path that names another file by now proves nothing


def _cgroups(process: Process) -> Values:
    places = process.cgroups or ()
    return tuple(f"{name}:{path}" if name else path for name, path in places if path != "/")  # `/`: in none


def _script(process: Process) -> Values:
    return () if process.script is None else _known(process.script.path)


def _script_sha256(process: Process) -> Values:
    return () if process.script is None else _known(process.script.sha256)


_UNIT: Final = "a user's own unit (`user@UID.service/…`) is whatever that user's processes say it is"
_CGROUP: Final = "whoever a cgroup was delegated to can move processes into it"
_ARGUMENTS: Final = (
    "the interpreter decides what it runs, and the process can rewrite the arguments this is read from"
)
_PARENT: Final = "what the parent runs now: it can execute another program once it has started its child"

KINDS: Final[dict[str, Kind]] = {
    "unix:uid": Kind(lambda one: _known(one.uid), _NUMBER, "its effective user id"),
    "unix:user": Kind(lambda one: _known(one.user), _TEXT, "that id, as the account database names it"),
    "unix:gid": Kind(lambda one: _known(one.gid), _NUMBER, "its effective group id"),
    "unix:group": Kind(lambda one: _known(one.group), _TEXT, "that id, as the account database names it"),
    "unix:supplementary_gid": Kind(
        lambda one: _known(*(one.groups or ())), _NUMBER, "one of its supplementary group ids", many=True
    ),
    "unix:path": Kind(_exe, _PATH, "the path of the executable it runs, which names that very file here"),
    "unix:sha256": Kind(lambda one: _known(one.exe_sha256), _DIGEST, "the SHA-256 of the executable it runs"),
    "systemd:unit": Kind(lambda one: _known(one.unit), _TEXT, "the unit that systemd started it in", _UNIT),
    "cgroup": Kind(_cgroups, _TEXT, "its control group: the path, for v1 behind the controllers", _CGROUP, many=True),
    "remit:task": Kind(
        lambda one: _known(one.task), _TEXT, "the task that Remit itself launched it for, or one of its ancestors"
    ),
    "script:path": Kind(_script, _PATH, "the script its interpreter was told to run", _ARGUMENTS),
    "script:sha256": Kind(_script_sha256, _DIGEST, "the SHA-256 of that script as it is now", _ARGUMENTS),
}


def _parent(depth: int) -> dict[str, Kind]:
    """The kinds that ask a parent: `parent:path` the nearest, `parent:parent:path` the one above it."""
    name, whose = "parent:" * depth, "its parent" if depth == 1 else f"its parent {depth} up"

    def exe(process: Process) -> Values:
        return _known(*(one.exe for one in process.parents[depth - 1 : depth]))

    def sha256(process: Process) -> Values:
        return _known(*(one.exe_sha256 for one in process.parents[depth - 1 : depth]))

    return {
        f"{name}path": Kind(exe, _PATH, f"the path of the executable {whose} runs", _PARENT),
        f"{name}sha256": Kind(sha256, _DIGEST, f"the SHA-256 of the executable {whose} runs", _PARENT),
    }


PARENTS: Final = 4  # as many as attestation looks at
for _depth in range(1, PARENTS + 1):
    KINDS.update(_parent(_depth))


@lru_cache(maxsize=65_536)  # 10,000 registered workloads have some 30,000, and a registration looks at them all
def split(selector: str) -> tuple[str, str]:
    """(kind, value) of `unix:uid:1000`. Raises IdentityError for what no process here could ever have."""
    if len(selector) > MAX_SELECTOR or not selector.isprintable():
        raise IdentityError("a selector is too long or has characters that can't be printed")
    kind = next((kind for kind in KINDS if selector.startswith(f"{kind}:")), None)
    if kind is None:
        raise IdentityError(f"`{selector}` is no selector known here", hint=f"known are {', '.join(KINDS)}")
    value = selector[len(kind) + 1 :]
    if not KINDS[kind].form.fullmatch(value):
        raise IdentityError(f"`{selector}` has a value that no process has", hint=_FORMS[KINDS[kind].form])
    return kind, value


_FORMS: Final = {
    _NUMBER: "give a number: `unix:uid:1000`",
    _DIGEST: "give 64 lower-case hex digits, as `sha256sum` prints them",
    _PATH: "give an absolute path",
    _TEXT: "give a value behind the colon",
}


def selectors_of(process: Process) -> tuple[str, ...]:
    """All that hold for `process`. What is unknown of it is left out."""
    found = (f"{name}:{value}" for name, kind in KINDS.items() for value in kind.of(process))
    return tuple(selector for selector in found if len(selector) <= MAX_SELECTOR)


def holds(selector: str, process: Process) -> bool:
    """Whether `process` has it. What is unknown of a process never matches, nor does a selector not known here."""
    try:
        kind, value = split(selector)
    except IdentityError:
        return False
    return value in KINDS[kind].of(process)


def told(selector: str) -> str:
    """As the log has it: numbers and digests whole, of all else the kind: paths and accounts have people's names."""
    kind, _ = split(selector)
    return selector if KINDS[kind].form in {_NUMBER, _DIGEST} else kind


def why_weaker(selector: str) -> str:
    """Why it proves less than it seems to; empty where it does not. Raises IdentityError as `split`."""
    kind, value = split(selector)
    if kind == "systemd:unit" and "/" not in value:
        return ""
    return KINDS[kind].weaker
