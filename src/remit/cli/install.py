"""`remit install --system`: make Remit its own user on this machine."""

import os
from typing import Annotated

import typer

from remit.config import Places
from remit.errors import StateError, UsageError


def install(
    system: Annotated[
        bool, typer.Option("--system", help="For all users of this machine, under a uid of its own.")
    ] = False,
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
    from remit.install.revisions import refuse_newer_state

    if not system:
        raise UsageError(
            "say what to install: `remit install --system`", hint="as yourself, `remit up` needs no installing"
        )
    _must_be_root("install")
    refuse_newer_state(Places.system().state / "state.db")
    steps = plan(Options(sudo_cache=keep_sudo_cache, tiocsti=keep_tiocsti))
    for step in steps:
        typer.echo(("would change  " if dry_run else "  ") + text(step))
    if dry_run:
        return
    carry_out(steps, Journal(), _say)
    _start()


def _must_be_root(verb: str) -> None:
    if os.geteuid() != 0:
        raise StateError(f"only root can {verb} Remit for the whole machine", hint=f"sudo remit {verb} …")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _start() -> None:
    """Through systemd where it runs, else the person who installs does it."""
    from remit.install.contents import systemd_runs
    from remit.install.systemd import start

    if systemd_runs():
        start()
        typer.echo("installed, and started by systemd (`systemctl status remit`)", err=True)
    else:
        typer.echo("installed; start it with: remit up --system", err=True)
