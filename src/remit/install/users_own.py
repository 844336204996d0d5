"""A user-mode instance that is to become the whole machine's: where it is, whose, and what its person can tell of it.

`Told` answers in a child that is that person (`as_person`), so that this reads nothing with root's rights.
"""

import fcntl
import os
import pwd
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import RootKey, VerifierKey
from remit.audit.keys import open_seed
from remit.audit.shard import shards_in
from remit.audit.verify import verify
from remit.config import Places
from remit.errors import StateError, UsageError
from remit.identity import Authority
from remit.identity.private_file import read_private
from remit.install.revisions import refuse_newer_state
from remit.install.standing import sync
from remit.persons.openings_book import OpeningsBook
from remit.policy.directory import read_directory

DATABASE: Final = "state.db"
KEYS: Final = ("audit.key", "digest.key")  # without these the log's root key and its pseudonyms would be others
ASIDE: Final = ".moved-to-system"
TABLES: Final = ("humans", "workloads", "tasks", "sessions", "passkeys", "meta")


@dataclass(frozen=True, slots=True)
class UsersOwn:
    """One person's instance."""

    person: pwd.struct_passwd
    places: Places

    @property
    def aside(self) -> Path:
        """What its state is called once it has moved."""
        return self.places.state.with_name(self.places.state.name + ASIDE)


def users_own(named: str) -> UsersOwn:
    """The instance of the account `named`, or in the directory `named` (as `--state` has it).

    Raises UsageError for what is neither, StateError for a directory that is no person's.
    """
    if "/" not in named:
        try:
            person = pwd.getpwnam(named)
        except KeyError:
            raise UsageError(
                f"there is no account `{named}` here", hint="a directory is given with a `/`, such as `./remit`"
            ) from None
        return UsersOwn(person, Places.of(None, {"HOME": person.pw_dir}))
    state = Path(named).absolute()
    try:
        facts = state.lstat() if os.path.lexists(state) else state.with_name(state.name + ASIDE).lstat()
        person = pwd.getpwuid(facts.st_uid)
    except (OSError, KeyError):
        raise UsageError(f"`{named}` is no directory of a person's here") from None
    own = Places.of(None, {"HOME": person.pw_dir})
    return UsersOwn(person, own if own.state == state else Places.of(state, {}))


class Told:
    """What its person can tell of the instance and hand over, while nobody starts it."""

    def __init__(self, own: UsersOwn) -> None:
        self._own, self._state = own, own.places.state
        self._lock = -1

    def __call__(self, question: Mapping[str, Any]) -> Mapping[str, Any] | Path:
        """One answer; raises RemitError or OSError."""
        match question:
            case {"ask": "facts"}:
                return self._facts()
            case {"ask": "verify"}:
                return self._verified()
            case {"ask": "file", "path": str(path)}:
                return self._state / path
            case {"ask": "readable", "path": str(path)}:
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            case {"ask": "aside"}:
                self._state.rename(self._own.aside)
                sync(self._state.parent)
        return {}

    def _facts(self) -> dict[str, Any]:
        """1. nobody runs it, nor starts it from here on. 2. this version can read it. 3. what it holds."""
        # 1
        self._hold()
        # 2
        database = self._state / DATABASE
        refuse_newer_state(database)
        # 3
        places, authority = self._own.places, self._state / "keys" / "authority.json"
        log = self._state / "audit"
        return {
            "rows": _rows(database),
            "config": _text(places.config),
            "policies": [[one.name, one.text] for one in read_directory(places.policies)],
            "shards": [[path.name, path.stat().st_size] for path in shards_in(log)] if log.is_dir() else [],
            "keys": [name for name in KEYS if read_private(self._state / name)],
            "sequence": Authority.load(authority).sequence if authority.exists() else None,
            "unreviewed": [
                one.id for one in OpeningsBook(self._state / "break-glass").openings().values() if one.review is None
            ],
        }

    def _hold(self) -> None:
        if not (self._state / DATABASE).is_file():
            raise StateError(
                f"no instance is kept in `{self._state}`", hint="give the directory: --from DIR, as `--state` has it"
            )
        if os.path.lexists(self._own.aside):
            raise StateError(f"`{self._own.aside}` is there already", hint="of a move before this one: move it away")
        self._lock = os.open(self._state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            name = self._own.person.pw_name
            raise StateError(f"{name}'s remit runs", hint=f"stop it first: `remit down`, as {name}") from None

    def _verified(self) -> dict[str, Any]:
        """The log is what was written, under the key that goes on writing it."""
        log, seed = self._state / "audit", open_seed(self._state / KEYS[0])
        known = VerifierKey.parse((log / "audit.pub").read_text())
        root = RootKey(known.name, Ed25519PrivateKey.from_private_bytes(seed))
        if root.verifier != known:
            raise StateError(
                f"`{log / 'audit.pub'}` is not the public half of `{KEYS[0]}`", hint="see who changed it"
            )
        verdict = verify(log, known, None, time.time())
        return {"records": verdict.records, "shards": len(verdict.shards)}


def _rows(database: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of the tables that there are, as plain values (bytes are left out: none of them moves)."""
    connection = sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True)  # `ro` would leave files behind
    try:
        known = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        return {table: _table(connection, table) for table in TABLES if table in known}
    except sqlite3.Error as error:
        raise StateError(f"`{database}` can't be read: {error}", hint="restore it from a backup") from error
    finally:
        connection.close()


def _table(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    found = connection.execute(f"select * from {table}")  # noqa: S608 (a name of TABLES)
    names = [column[0] for column in found.description]
    return [
        {name: value for name, value in zip(names, row, strict=True) if not isinstance(value, bytes)} for row in found
    ]


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise StateError(f"`{path}` is not UTF-8 at byte {error.start}") from error
