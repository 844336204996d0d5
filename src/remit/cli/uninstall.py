"""`remit uninstall`: put back every file that `remit install --system` changed."""

import os
from typing import Annotated

import typer

from remit.config import Places
from remit.errors import StateError


def uninstall(
    with_log: Annotated[bool, typer.Option("--with-log", help="Remove the log as well.")] = False,
) -> None:
    """Put every file on this machine back as it was before `remit install --system`."""
    from remit.cli.install import said_of_the_disk
    from remit.install import Journal, kept_log, nothing_to_do, put_back
    from remit.install.contents import systemd_runs
    from remit.install.one_at_a_time import one_at_a_time
    from remit.install.running import refuse_while_running
    from remit.install.systemd import forget
    from remit.sandbox.fence import lift

    if os.geteuid() != 0:
        raise StateError("only root can uninstall Remit from the whole machine", hint="sudo remit uninstall")
    os.umask(0o077)
    with one_at_a_time():
        journal = Journal()
        if nothing_to_do(journal):
            left = with_log and kept_log.remove(Places.system().state)
            typer.echo(
                "the log of an earlier installation is removed"
                if left
                else "nothing is installed here: there is nothing to put back",
                err=True,
            )
            return
        refuse_while_running(Places.system(), "stop it first: `remit down`, or `systemctl stop remit`")
        with said_of_the_disk("uninstall"):
            put_back(journal, lambda line: typer.echo(line, err=True), with_log=with_log)
    if systemd_runs():
        forget()
    lift()
    typer.echo("uninstalled: every file is as it was, but for what is said above", err=True)
