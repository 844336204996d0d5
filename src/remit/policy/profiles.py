"""The profiles among policy files: `profiles/NAME.toml`, in the directory and in a bundle alike. Pure."""

from collections.abc import Iterable
from typing import Final

from remit.errors import PolicyError
from remit.policy.snapshot import PolicyFile
from remit.tasks.profile import DIRECTORY, SUFFIX, Profile, parse

PLACE: Final = DIRECTORY + "/"


def is_profile(name: str) -> bool:
    """Whether a policy file of this name is one, going by its name."""
    inside = name.removeprefix(PLACE)
    return name.startswith(PLACE) and inside.endswith(SUFFIX) and "/" not in inside and not inside.startswith(".")


def profiles_of(files: Iterable[PolicyFile]) -> dict[str, Profile]:
    """Those among these files, by name; raises PolicyError with the place."""
    found = {}
    for file in files:
        if is_profile(file.name):
            profile = _parsed(file)
            found[profile.name] = profile
    return found


def _parsed(file: PolicyFile) -> Profile:
    name = file.name.removeprefix(PLACE)
    try:
        return parse(name, file.text)
    except PolicyError as error:
        message = str(error).removeprefix(f"{name}:{error.line}:{error.column}: ")
        raise PolicyError(message, file=file.name, line=error.line, column=error.column, hint=error.hint) from None
