"""`remit install --system`: make Remit its own user on this machine."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.config import Places
from remit.errors import StateError, UsageError

if TYPE_CHECKING:
    from remit.install.move import Move
    from remit.install.moved import Moved


def install(
    system: Annotated[
        bool, typer.Option("--system", help="For all users of this machine, under a uid of its own.")
    ] = False,
    moved_from: Annotated[
        str | None,
        typer.Option("--from", metavar="USER|DIR", help="Move a user's own instance here: workloads, log, policies."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be changed; change nothing.")] = False,
    keep_sudo_cache: Annotated[
        bool, typer.Option("--keep-sudo-cache", help="Let sudo go on remembering passwords.")
    ] = False,
    keep_tiocsti: Annotated[
        bool, typer.Option("--keep-tiocsti", help="Let processes go on typing into terminals.")
    ] = False,
) -> None:
    """Install Remit as its own user on this machine. `remit uninstall` puts every file back."""
    from remit.install import Journal, Options, carry_out, plan, text
    from remit.install.contents import sudo_unchecked
    from remit.install.first_look import first_look
    from remit.install.one_at_a_time import one_at_a_time

    if not system:
        raise UsageError(
            "say what to install: `remit install --system`", hint="as yourself, `remit up` needs no installing"
        )
    _must_be_root("install")
    os.umask(0o077)
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_at_a_time())
        first_look()
        move = _moving(moved_from, stack)
        steps = plan(Options(sudo_cache=keep_sudo_cache, tiocsti=keep_tiocsti, administrator=_installer()), move)
        for step in steps:
            typer.echo(("would change  " if dry_run else "  ") + text(step))
        for line in move.what.said if move is not None else ():
            _say(line)
        if sudo_unchecked() and not keep_sudo_cache:
            _say(
                "there is no `visudo`: sudo goes on remembering passwords, as a file that it can't take would stop it"
            )
        if dry_run:
            return
        with said_of_the_disk("install --system"):
            carry_out(steps, Journal(), _say)
    _show_code()
    _start()


@contextlib.contextmanager
def said_of_the_disk(verb: str) -> Iterator[None]:
    """What the disk refuses half-way is told with what to do; the journal has what was done."""
    try:
        yield
    except OSError as error:
        raise StateError(
            f"`{error.filename or 'the disk'}`: {error.strerror}",
            hint=f"mend that and run `remit {verb}` again, or `remit uninstall`: the journal has what was changed",
        ) from error


def _must_be_root(verb: str) -> None:
    if os.geteuid() != 0:
        raise StateError(f"only root can {verb} Remit for the whole machine", hint=f"sudo remit {verb} …")


def _installer() -> str:
    """The account of the person who types this, by the kernel's word or sudo's; empty where it is root's alone."""
    from remit.errors import IdentityError
    from remit.identity.attestation.procfs import login_uid
    from remit.identity.person import person_of

    try:
        person = person_of(login_uid("self"), os.geteuid(), os.environ)
    except IdentityError:
        return ""
    return person.name if person.uid != 0 else ""


def _moving(named: str | None, stack: contextlib.ExitStack) -> "Move | None":
    """The move that was asked for; None without one, and when it is done already."""
    from remit.install.move import done_already, moving, refuse_half
    from remit.install.users_own import users_own

    if named is None:
        refuse_half()
        return None
    own = users_own(named)
    if done_already(own):
        _say(f"{own.person.pw_name}'s instance was moved already")
        return None
    return stack.enter_context(moving(own, _keep))


def _keep(database: Path, moved: "Moved") -> None:
    """What moved, in a new database; each record went through its parser."""
    from remit.storage import Store

    with contextlib.closing(Store(database)) as store:
        for human in moved.people:
            store.save_human(human)
        for workload in moved.workloads:
            store.save_workload(workload)
        for key, value in moved.meta.items():
            store.save_meta(key, value)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _show_code() -> None:
    """A recovery code for break-glass, unless one is sealed; shown here, and kept nowhere."""
    from remit.install.account import find_account
    from remit.persons.sealing import seal_at_install

    account = find_account()
    assert account is not None  # noqa: S101 (the installation made it)
    code = seal_at_install(Places.system().state, account, time.time())
    if code is None:
        _say("a recovery code is sealed already; `remit break-glass seal` makes a new one")
        return
    _say("the recovery code for break-glass, shown this once: write it down, away from this machine")
    typer.echo(code.reveal())


def _start() -> None:
    """Through systemd where it runs, else the person who installs does it."""
    from remit.install.contents import systemd_runs
    from remit.install.running import running_pid
    from remit.install.systemd import start

    if systemd_runs():
        start()
        _say("installed, and started by systemd (`systemctl status remit`)")
    elif (pid := running_pid(Places.system())) is not None:
        _say(f"installed; what runs (pid {pid or 'unknown yet'}) is the code from before: end it, and start it with:")
        _say("  remit up --system")
    else:
        _say("installed; start it with: remit up --system")
