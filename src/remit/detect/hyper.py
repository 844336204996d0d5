"""The fast filter: which rules may match a text at all. The only file that touches the Hyperscan binding.

The binding crashes the process on an inline lambda as callback, on `Stream.size()` and on use after close; so here
the callback is one module-level function, only block mode is used, and nothing is ever closed. A scratch is used by
one thread at a time.
"""

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final
from uuid import uuid4

import hyperscan

from remit.errors import ConfigError

SURROGATE: Final = re.compile("[\ud800-\udfff]")
FLAGS: Final = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH
CACHE_SIZE_LIMIT: Final = 64 << 20  # bytes; 16 times what the shipped rules compile to
SEAL_LENGTH: Final = 32


def _note(number: int, start: int, end: int, flags: int, context: object) -> None:
    context.append(number)  # type: ignore[attr-defined] # always the list that `numbers` passes


class Filter:
    """Compiled expressions. `numbers` names those of which one matches somewhere in a text, in no order."""

    def __init__(self, database: hyperscan.Database) -> None:
        self._database = database
        self._free: list[hyperscan.Scratch] = []  # taking from and adding to a list are atomic

    def numbers(self, text: str) -> list[int]:
        found: list[int] = []
        try:
            data = text.encode()
        except UnicodeEncodeError:  # UTF-8 mode must not see half a pair; U+FFFD is in the same negated classes
            data = SURROGATE.sub("\ufffd", text).encode()
        scratch = self._scratch()
        self._database.scan(data, match_event_handler=_note, context=found, scratch=scratch)
        self._free.append(scratch)
        return found

    def _scratch(self) -> hyperscan.Scratch:
        """A scratch that no other thread uses meanwhile: one that is free, or a new one."""
        try:
            return self._free.pop()
        except IndexError:
            return hyperscan.Scratch(self._database)


def build(expressions: Sequence[Sequence[str]], digest: bytes, cache: Path | None = None) -> Filter:
    """The filter for each number's `expressions`; `digest` names its file in directory `cache` (made owner-only).

    A cached file that is missing, damaged or not the owner's is built again (about a second). Raises ConfigError if
    an expression is not Hyperscan's.
    """
    file = cache and cache / f"rules-{hashlib.sha256(digest + _library()).hexdigest()[:32]}.hsdb"
    database = file and _load(file)
    if not database:
        database = _compile(expressions)
        if file:
            _store(file, hyperscan.dumpb(database))
    return Filter(database)


def _library() -> bytes:
    probe = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    probe.compile(expressions=[b"x"])
    return f"{version('hyperscan')} {probe.info()!r}".encode()


def _compile(expressions: Sequence[Sequence[str]]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    numbered = [(number, text) for number, texts in enumerate(expressions) for text in texts]
    count = len(numbered)
    try:
        database.compile(
            expressions=[text.encode() for _, text in numbered],
            ids=[number for number, _ in numbered],
            elements=count,
            flags=[FLAGS] * count,
        )
    except hyperscan.error as error:
        raise ConfigError(
            f"the rules can't be compiled: {error}", hint="`pattern` must be in Hyperscan's syntax"
        ) from error
    return database


def _load(file: Path) -> hyperscan.Database | None:
    """The database of `file`, or None. C code reads it, so nothing that is not ours or not whole gets there."""
    try:
        with file.open("rb") as opened:
            facts = os.fstat(opened.fileno())
            ours = facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if not ours or facts.st_size > CACHE_SIZE_LIMIT:
                return None
            seal, data = opened.read(SEAL_LENGTH), opened.read()
        if hashlib.sha256(data).digest() != seal:
            return None
        return hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK)
    except (OSError, hyperscan.error):
        return None


def _store(file: Path, data: bytes) -> None:
    """Write atomically and owner-only. A cache that can't be written costs a second at the next start, no more."""
    part = file.with_name(f".{uuid4().hex}.part")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
                opened.write(hashlib.sha256(data).digest() + data)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
