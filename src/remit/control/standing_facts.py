"""The facts about this deployment that files and accounts show; anybody may look, also while nothing runs."""

import os
import pwd
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import remit
from remit.config import Places
from remit.config.places import SYSTEM_ACCOUNT
from remit.posture import Fact
from remit.posture.grade import CODE, POLICIES, SEPARATE_UID, STATE

SYSTEM_MODE: Final = "run Remit in system mode, under its own user (docs/threat-model.md)"


def standing_facts(places: Places, uid: int) -> list[Fact]:
    """For an instance of `places` that runs as `uid`."""
    apart = separate_uid(uid)
    trusted = frozenset({0, uid}) if apart.holds else frozenset({0})
    policies = [path for path in (places.policies, places.config) if path.exists()]
    return [
        apart,
        out_of_reach(CODE, _code(), trusted),
        out_of_reach(STATE, [places.state], trusted, private=True),
        out_of_reach(POLICIES, policies or [places.policies], trusted),
    ]


def separate_uid(uid: int) -> Fact:
    """Whether `uid` is the account that only Remit has."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return Fact(SEPARATE_UID, None, f"uid {uid} has no account here", SYSTEM_MODE)
    return Fact(SEPARATE_UID, name == SYSTEM_ACCOUNT, f"it runs as `{name}` (uid {uid})", SYSTEM_MODE)


def out_of_reach(name: str, paths: Iterable[Path], trusted: frozenset[int], *, private: bool = False) -> Fact:
    """Whether nobody but `trusted` uids can write `paths`, what lies in them, or above them; nor read, if so asked.

    An access list shows in the mode: its mask takes the place of the group's bits (acl(5)).
    """
    for path in paths:
        try:
            for one, status in (*_with_parents(path.absolute()), *_with_parents(path.resolve(strict=True))):
                if found := _loose(status, trusted, private=private and one == path.resolve()):
                    return Fact(name, False, f"`{one}` {found}", SYSTEM_MODE)
            for one, status in _below(path):
                if found := _loose(status, trusted, private=False):
                    return Fact(name, False, f"`{one}` {found}", SYSTEM_MODE)
        except OSError as error:
            return Fact(name, None, f"`{error.filename or path}`: {error.strerror}", SYSTEM_MODE)
    return Fact(name, True, "root's or Remit's own, and no other may write it")


def _loose(status: os.stat_result, trusted: frozenset[int], *, private: bool) -> str:
    """What is wrong with it, in words; empty when nothing is."""
    mode = status.st_mode
    if status.st_uid not in trusted:
        return f"belongs to uid {status.st_uid}"
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return ""  # a link's target is looked at where it is; of a sticky directory only owners take things away
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and status.st_gid != 0):
        return "can be written by others"
    return "can be read by others" if private and mode & (stat.S_IRWXG | stat.S_IRWXO) else ""


def _with_parents(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for one in (path, *path.parents):
        yield one, one.stat()


def _below(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # gone since it was listed
            raise error

    for folder, folders, files in os.walk(path, onerror=failed) if path.is_dir() else ():
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                yield Path(folder, name), Path(folder, name).lstat()


def _code() -> list[Path]:
    """The interpreter, Remit's own package, and every place that modules come from."""
    ways = [Path(one) for one in sys.path if one and Path(one).exists()]
    return [Path(sys.executable), Path(remit.__file__).parent, *ways]
