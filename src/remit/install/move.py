"""Moving a user-mode instance into system mode: filled while nobody can start either, then switched in one rename.

`moved.json` beside the journal says that a move has begun, before it does. Until the user's directory is renamed, the
last thing of all, theirs is the one that counts: whatever stands in the system's state then is of a move that was cut
short, and is cleared. Meanwhile that directory is root's, and system mode refuses to start on it.
"""

import json
import os
import pwd
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from remit.audit import Act, AuditLog, RootKey, WriterKey, certify, shard_name
from remit.config import Places, parse
from remit.errors import StateError
from remit.identity import Authority
from remit.install.as_person import Asking, asking
from remit.install.journal import Journal
from remit.install.moved import Moved, judge
from remit.install.moved_config import BROUGHT
from remit.install.places import KEPT, MOVED
from remit.install.standing import NOTHING, Standing, clear_draft, look, put, sync
from remit.install.users_own import DATABASE, Told, UsersOwn
from remit.policy import load as load_policies

WRITER: Final = "control"  # whose log goes on
_AGAIN: Final = "run it again with --from {}, or `remit uninstall`"

Keep = Callable[[Path, Moved], None]
"""Writes people, workloads and single values to a new database at the path (`storage` is not on this floor)."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What `moved.json` says."""

    uid: int
    state: Path
    aside: Path
    done: bool

    @classmethod
    def read(cls) -> "Begun | None":
        """The move of this machine; None when there was none. Raises StateError."""
        if look(MOVED) == NOTHING:
            return None
        try:
            row = json.loads(look(MOVED).data)
            return cls(int(row["uid"]), Path(row["state"]), Path(row["aside"]), bool(row["done"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(f"`{MOVED}` can't be read", hint="put it back from a backup") from error

    def write(self) -> None:
        """Durably."""
        row = {"uid": self.uid, "state": str(self.state), "aside": str(self.aside), "done": self.done}
        if not KEPT.is_dir():
            put(KEPT, Standing("directory", 0o700))
        put(MOVED, Standing("file", 0o600, data=json.dumps(row).encode()))


class Move:
    """One move: what is to come over, and how. Made by `moving`."""

    def __init__(self, own: UsersOwn, line: Asking, what: Moved, keep: Keep) -> None:
        self.own, self.what = own, what
        self._line, self._keep = line, keep

    def begin(self) -> None:
        """From here on what stands in the system's state is this move's, until it is done."""
        self._begun(done=False).write()

    def fill(self) -> None:
        """Copy, into a state that is root's until all is done. What an earlier try left is cleared first."""
        state = Places.system().state
        empty(state)
        (state / "audit").mkdir(0o700)
        (state / "keys").mkdir(0o700)
        for name in self.what.keys:
            self._line.copy(state / name, "file", path=name)
        for name, _ in self.what.shards:
            self._line.copy(state / "audit" / name, "file", path=f"audit/{name}")
        if self.what.brought:
            (state / "keys" / BROUGHT).mkdir(0o700)
        for one in self.what.brought:
            self._line.copy(state / "keys" / BROUGHT / one.name, "file", path=one.path)
        now = time.time()
        self._renew_authority(state / "keys" / "authority.json", now)
        self._keep(state / DATABASE, self.what)
        self._record(state, now)
        for directory in (state / "audit", state / "keys", state):
            sync(directory)

    def finish(self) -> None:
        """The switch: the user's is set aside, by themselves."""
        self._line.ask("aside")
        self._begun(done=True).write()

    def _begun(self, *, done: bool) -> Begun:
        return Begun(self.own.person.pw_uid, self.own.places.state, self.own.aside, done)

    def _renew_authority(self, path: Path, now: float) -> None:
        """Keys that only Remit's uid has read, in the same trust domain; its bundle's sequence goes on."""
        if self.what.sequence is not None:
            fresh = Authority.create(self.what.domain, now)
            Authority(fresh.trust_domain, fresh.x509_authorities, fresh.jwt_authorities, self.what.sequence + 1).save(
                path
            )

    def _record(self, state: Path, now: float) -> None:
        """The log goes on with what was moved; it is signed by the same root key."""
        root = RootKey.open(state / "audit.key", state / "audit" / "audit.pub", self.what.domain)
        shard = shard_name(WRITER, now)
        key = WriterKey.fresh(self.what.domain, shard)
        certificate = certify(root, self.what.domain, shard, key.verifier.public, now)
        log = AuditLog.open(state / "audit", key, certificate, t=now, m=time.monotonic())
        people = {one.name: one.person for one in self.what.people}
        person = people.get(self.own.person.pw_name)
        facts = {"uid": self.own.person.pw_uid, "workloads": [str(one.spiffe_id) for one in self.what.workloads]}
        log.record_sync(Act("instance.moved", "control", person, now, time.monotonic(), facts), b"")
        for one in self.what.ended:
            log.record_sync(Act(one.what, one.id, one.person, now, time.monotonic(), {"why": "moved"}), b"")
        log.close(t=time.time(), m=time.monotonic())


@contextmanager
def moving(own: UsersOwn, keep: Keep) -> Iterator[Move]:
    """Hold the user's instance still and judge what it holds; changes nothing. Raises StateError for what can't move.

    1. nothing is there that it would be mixed with
    2. its person tells what it holds; nobody starts it until this ends
    3. every record can be taken, its policies mean something to this version, its log is what was written
    """
    # 1
    refuse_settled(own)
    # 2
    with asking(own.person, Told(own)) as line:
        facts = line.ask("facts")
        # 3
        settings = parse((facts["config"] or "").encode(), str(own.places.config))
        what = judge(facts, settings, own.person, time.time())
        load_policies(what.policies)
        for one in what.brought:
            line.ask("readable", path=one.path)
        if what.shards:
            line.ask("verify")
        yield Move(own, line, what, keep)


def refuse_settled(own: UsersOwn) -> None:
    """Raises StateError when this machine has an installation, a state or a configuration that isn't this move's."""
    begun = Begun.read()
    if begun is not None and begun.state != own.places.state:
        raise StateError(f"a move from `{begun.state}` was begun here", hint=_AGAIN.format(begun.state))
    if begun is not None:
        return
    at = Places.system()
    if Journal().changes():
        hint = "`remit uninstall`, then install with --from"
        raise StateError("remit is installed here already: its state would be mixed with theirs", hint=hint)
    if at.state.is_dir() and any(at.state.iterdir()):
        raise StateError(f"`{at.state}` is not empty: a state or a log is there already", hint="move it away")
    if at.config.exists() or any(at.policies.glob("*.cedar")):
        raise StateError(f"a configuration or policies are in `{at.config.parent}` already", hint="move them away")


def done_already(own: UsersOwn) -> bool:
    """Whether this very move is done; but for the word that it is, perhaps: that is written then."""
    begun = Begun.read()
    if begun is None or begun.state != own.places.state:
        return False
    if not begun.done and _set_aside(begun):
        begun = replace(begun, done=True)
        begun.write()
    return begun.done


def refuse_half() -> None:
    """Raises StateError when a move was begun and not done: its state is not to be used."""
    begun = Begun.read()
    if begun is not None and not begun.done:
        raise StateError(f"a move from `{begun.state}` was cut short", hint=_AGAIN.format(begun.state))


def bring_back(say: Callable[[str], None]) -> bool:
    """The user's own is theirs again, as it was when it moved; whether the system's state is but half of it."""
    begun = Begun.read()
    if begun is None:
        return False
    if not _set_aside(begun):
        return not begun.done
    where = begun.aside
    if (person := _person(begun)) is not None:
        with asking(person, lambda _: _put_back(begun)) as line:
            where = Path(line.ask("back")["where"])
    say(f"the instance that was moved is in {where}, as it was then")
    return False


def forget() -> None:
    """There was no move."""
    clear_draft(MOVED)
    MOVED.unlink(missing_ok=True)


def _set_aside(begun: Begun) -> bool:
    """Whether the user's own is where a move that is done puts it; asked as its person."""
    person = _person(begun)
    if person is None:
        return begun.done
    with asking(person, lambda _: {"aside": os.path.lexists(begun.aside)}) as line:
        return bool(line.ask("aside")["aside"])


def _put_back(begun: Begun) -> dict[str, str]:
    if os.path.lexists(begun.state):
        return {"where": str(begun.aside)}
    begun.aside.rename(begun.state)
    return {"where": str(begun.state)}


def _person(begun: Begun) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(begun.uid)
    except KeyError:
        return None


def empty(state: Path) -> None:
    """Remove all below it."""
    for path in state.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
