"""The command line: one file a command; heavy imports stay inside the commands, so that `--help` is quick."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from remit import __version__
from remit.cli import (
    approvals,
    audit,
    authority,
    break_glass,
    bundle,
    can,
    doctor,
    down,
    explain,
    install,
    login,
    model,
    oidc,
    passkey,
    policy,
    status,
    task,
    uninstall,
    up,
    whois,
    workload,
)
from remit.errors import RemitError

app = typer.Typer(
    name="remit",
    help="Guard the model servers on this machine: identity, owner, policy, clean logs, proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs 300 ms of imports at every start
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: tuple[Callable[..., None], ...] = (
    up.up,
    status.status,
    doctor.doctor,
    whois.whois,
    can.can,
    explain.explain,
    bundle.bundle,
    login.login,
    login.logout,
    down.down,
    install.install,
    uninstall.uninstall,
)
for _command in COMMANDS:
    app.command()(_command)
app.add_typer(workload.app, name="workload")
app.add_typer(model.app, name="model")
app.add_typer(task.app, name="task")
app.add_typer(approvals.app, name="approvals")
app.add_typer(passkey.app, name="passkey")
app.add_typer(break_glass.app, name="break-glass")
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.add_typer(authority.app, name="authority")
app.add_typer(oidc.app, name="oidc")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"remit {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Run a command; an error is one line and a hint on stderr, and its family's exit code."""
    try:
        app(standalone_mode=True)
    except RemitError as error:
        complain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    finally:
        _leave_nothing_unwritten()
    sys.exit(0)


def _leave_nothing_unwritten() -> None:
    """Whoever read may have enough (`remit audit tail | head`): then the interpreter has nothing to complain of."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def complain(error: RemitError) -> None:
    from remit.cli.screen import harmless

    typer.secho(f"remit: {harmless(str(error))}", err=True, fg="red" if sys.stderr.isatty() else None)
    if error.hint:
        typer.echo(f"  hint: {harmless(error.hint)}", err=True)
