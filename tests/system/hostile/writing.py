"""Tries to change what decides: policies, settings, code, keys, the command."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.kit import Claim, Target, attempt, put_back

POLICIES = "policies and settings are root's or Remit's own uid's"
CODE = "the code is root's, checked at each start"
STATE = "the state is Remit's own uid's"
ALL = '\n@id("mine")\n@reason("mine")\npermit (principal, action, resource);\n'


def _appended(path: Path, line: str) -> Iterator[Claim]:
    with put_back(path) as kept:
        path.write_bytes(kept + line.encode())
        yield {"path": str(path), "has": line.strip()}


@attempt("edit-policy", "append to a policy file so that what is refused is permitted", "decision", POLICIES)
def edit_policy(target: Target) -> Iterator[Claim]:
    yield from _appended(target.policies / "starter.cedar", ALL)


@attempt("add-policy", "put a policy file of its own beside the others", "decision", POLICIES)
def add_policy(target: Target) -> Iterator[Claim]:
    mine = target.policies / "mine.cedar"
    mine.write_text(ALL)
    mine.chmod(0o600)
    yield {}
    mine.unlink()


@attempt("swap-policies", "rename the directory of policies away and put its own in its place", "decision", POLICIES)
def swap_policies(target: Target) -> Iterator[Claim]:
    aside = target.policies.with_name("aside")
    target.policies.rename(aside)
    target.policies.mkdir(mode=0o700)
    mine = target.policies / "starter.cedar"
    mine.write_text(ALL)
    yield {}
    mine.unlink()
    target.policies.rmdir()
    aside.rename(target.policies)


@attempt("loosen-modes", "make the policies everybody's to write", "mode", POLICIES)
def loosen_modes(target: Target) -> Iterator[Claim]:
    target.policies.chmod(0o777)
    yield {"path": str(target.policies)}
    target.policies.chmod(0o700)


@attempt("edit-config", "write other settings for the next start", "planted", POLICIES)
def edit_config(target: Target) -> Iterator[Claim]:
    yield from _appended(target.config, "\n# mine\n")


@attempt("edit-code", "change Remit's own code", "planted", CODE)
def edit_code(target: Target) -> Iterator[Claim]:
    yield from _appended(target.code / "remit" / "__init__.py", "\n# mine\n")


@attempt("replace-module", "put its own module in the place of one that Remit imports", "planted", CODE)
def replace_module(target: Target) -> Iterator[Claim]:
    file = target.code / "remit" / "errors.py"
    aside, content = file.with_suffix(".aside"), file.read_bytes()
    file.rename(aside)
    file.write_bytes(content + b"\n# mine\n")
    yield {"path": str(file), "has": "# mine"}
    aside.replace(file)


@attempt("inject-pth", "put a .pth file where Remit's interpreter reads one at its start", "ran", CODE)
def inject_pth(target: Target) -> Iterator[Claim]:
    mine, mark = target.code / "mine.pth", Path("/tmp/pth-ran")
    mine.write_text(f"import os; open({str(mark)!r}, 'w').close()\n")
    yield {"command": [target.remit, "--version"], "mark": str(mark)}
    mine.unlink()
    mark.unlink(missing_ok=True)


@attempt(
    "user-site",
    "put a module among the owner's own (user site) that each of their interpreters runs",
    "ran",
    "the interpreter is isolated (-I)",
)
def user_site(target: Target) -> Iterator[Claim]:
    mark = Path("/tmp/site-ran")
    site = Path.home() / f".local/lib/python{'.'.join(map(str, os.sys.version_info[:2]))}/site-packages"  # type: ignore[attr-defined]
    site.mkdir(parents=True, exist_ok=True)
    (site / "usercustomize.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    yield {"command": [target.remit, "--version"], "mark": str(mark)}
    (site / "usercustomize.py").unlink()


@attempt(
    "python-path",
    "have PYTHONPATH and PYTHONSTARTUP bring code into Remit",
    "ran",
    "the interpreter is isolated (-I)",
)
def python_path(target: Target) -> Iterator[Claim]:
    mine, mark = Path("/tmp/path-of-mine"), Path("/tmp/path-ran")
    mine.mkdir(exist_ok=True)
    (mine / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    environ = [f"PYTHONPATH={mine}", f"PYTHONSTARTUP={mine}/sitecustomize.py"]
    yield {"command": ["env", *environ, target.remit, "--version"], "mark": str(mark)}


@attempt("swap-command", "put another program where `remit` is typed", "command", "the command is root's")
def swap_command(target: Target) -> Iterator[Claim]:
    command = Path(target.remit)
    aside = command.with_name("remit.aside")
    command.rename(aside)
    command.write_text("#!/bin/sh\necho mine\n")
    command.chmod(0o755)
    yield {"command": [target.remit], "says": "mine\n"}
    aside.replace(command)


@attempt("replace-key", "put another key in the place of the log's", "planted-bytes", STATE)
def replace_key(target: Target) -> Iterator[Claim]:
    key = target.state / "audit.key"
    with put_back(key) as kept:
        key.write_bytes(kept[::-1])
        yield {"path": str(key), "hex": kept[::-1].hex()}


@attempt("edit-database", "write into the state database", "table", STATE)
def edit_database(target: Target) -> Iterator[Claim]:
    path = target.state / "state.db"
    with sqlite3.connect(path) as state:
        state.execute("create table mine (a)")
    yield {"path": str(path), "table": "mine"}
    with sqlite3.connect(path) as state:
        state.execute("drop table mine")
