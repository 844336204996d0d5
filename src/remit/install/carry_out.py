"""Carries out a plan: each change is in the journal, on disk, before it is made. It can be run again at any time."""

import os
from pathlib import Path

from remit.config import Places
from remit.errors import StateError
from remit.install import kept_log, owning
from remit.install.account import find_account, make_account
from remit.install.code_copy import copy_code
from remit.install.journal import Journal
from remit.install.plan import Account, Code, Directory, Do, File, Kernel, Link, Owner, Say, Step
from remit.install.saved import save_edit
from remit.install.standing import NOTHING, Standing, look, put


def carry_out(steps: tuple[Step, ...], journal: Journal, say: Say) -> None:
    """Make every change that isn't made yet. Raises StateError or OSError; what was done is in the journal."""
    for step in steps:
        match step:
            case Account():
                make_account(journal)
            case Code():
                if not step.path.is_dir():
                    journal.before(step.path, Standing("directory", 0o755), tree=True)
                copy_code(step.path)
            case Kernel():
                _set_kernel(step, journal)
            case Do():
                step.act()
            case Directory() | File() | Link():
                _make(step, journal, say)
    own_state(Places.system().state)


def own_state(state: Path) -> None:
    """A log that an earlier installation left is root's, as is what was moved: Remit's uid gets it."""
    entry = find_account()
    if entry is None:
        return
    if left := owning.give(state, entry.pw_uid, entry.pw_gid):
        raise StateError(
            f"`{left[0]}` has another name elsewhere: it is not given to `{entry.pw_name}`",
            hint="put a copy in its place, or remove it, and run this again",
        )


def _make(step: Directory | File | Link, journal: Journal, say: Say) -> None:
    now, will = look(step.path), _standing(step)
    if now == will:
        return
    if isinstance(step, File) and step.once and now.kind != "nothing":
        return
    known = journal.of(step.path)
    if known is not None and known.put != now and now not in {known.was, NOTHING} and now.kind == "file":
        save_edit(step.path, say)
    if now.kind == "directory" != will.kind or (
        will.kind == "directory" and now.kind not in {"nothing", "directory"}
    ):
        raise StateError(f"`{step.path}` is in the way", hint="move it and run this again")
    was = NOTHING if step.path == Places.system().state and kept_log.is_left(step.path) else None
    journal.before(step.path, will, was=was)
    put(step.path, will)


def _set_kernel(step: Kernel, journal: Journal) -> None:
    now = step.path.read_bytes().strip()
    if now == step.value.encode():
        return
    facts = look(step.path)
    journal.before(step.path, Standing("file", facts.mode, facts.uid, facts.gid, step.value.encode() + b"\n"))
    step.path.write_text(step.value)


def _standing(step: Directory | File | Link) -> Standing:
    match step:
        case Directory():
            return Standing("directory", step.mode, *_ids(step.owner))
        case Link():
            return Standing("link", 0o777, 0, 0, os.fsencode(step.target))
        case File():
            return Standing("file", step.mode, *_ids(step.owner), step.text.encode())


def _ids(owner: Owner) -> tuple[int, int]:
    entry = find_account()
    if owner == "root" or entry is None:
        return 0, 0
    return (entry.pw_uid if owner == "remit" else 0), entry.pw_gid
