"""Puts back what an installation changed, newest first. It can be cut short at any point and run again.

Each path is judged by what stands there now: what stood before Remit (nothing to do), what Remit put there (put
back), or anything else (somebody changed it since: their version is kept beside, and said).
"""

import errno
import shutil
from pathlib import Path

from remit.config import Places
from remit.install import kept_log, move
from remit.install.account import put_account_back
from remit.install.code_copy import remove_tree
from remit.install.journal import Change, Journal
from remit.install.places import KEPT, OPT, TIOCSTI
from remit.install.plan import Say
from remit.install.saved import save_edit
from remit.install.standing import clear_draft, look, put


def put_back(journal: Journal, say: Say, *, with_log: bool) -> None:
    """Everything but the log, unless `with_log`. An instance that was moved is its user's own again."""
    changes = journal.changes()
    with_log = move.bring_back(say) or with_log
    state = Places.system().state
    if any(change.path == state for change in changes):
        _empty_state(state, with_log=with_log, say=say)
    _empty_run(Places.system().run)
    code = [change for change in changes if change.path == OPT or change.path.is_relative_to(OPT)]
    account = [change for change in changes if change.account]
    for change in reversed(changes):
        if change not in code and change not in account:
            _undo(change, say)
    if account and put_account_back(account):
        say("somebody changed the list of accounts since: only the account `remit` was taken out of it")
    for change in reversed(code):  # last: this may be running from there
        _undo(change, say)
    move.forget()
    journal.remove()


def nothing_to_do(journal: Journal) -> bool:
    """Whether there is no installation; a directory that a killed one made and did not use goes as well."""
    if not journal.changes() and KEPT.is_dir():
        move.forget()
        journal.remove()
    return not journal.changes()


def _undo(change: Change, say: Say) -> None:
    path = change.path
    if change.tree:
        remove_tree(path.with_name(path.name + ".new"))
        remove_tree(path)
        return
    if path == TIOCSTI:
        path.write_bytes(change.was.data)
        return
    clear_draft(path)
    now = look(path)
    if now == change.was:
        return
    if now.kind == "directory" and change.was.kind == "nothing":
        _remove_directory(path, say)
    elif now.kind in {"file", "link"} and now != change.put:
        save_edit(path, say)
        put(path, change.was)
    elif path.parent.is_dir():
        put(path, change.was)


def _remove_directory(path: Path, say: Say) -> None:
    try:
        path.rmdir()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        say(f"{path} stays: there is something in it that Remit did not make, or that you said should stay")


def _empty_state(state: Path, *, with_log: bool, say: Say) -> None:
    """All below it is Remit's. The log that stays becomes root's."""
    if not state.is_dir():
        return
    for path in sorted(state.iterdir()):
        if path.name in kept_log.LOG and path.is_dir() and not with_log:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in kept_log.keep(state):
        say(f"the log stays: {path} (root's now; `remit uninstall --with-log` removes it)")


def _empty_run(run: Path) -> None:
    if run.is_dir() and not run.is_symlink():
        for path in run.iterdir():
            if path.is_socket() or path.suffix in {".json", ".new"}:
                path.unlink()
