"""Tries to change what decides: policies, settings, code, keys, the log."""

import json
import os
import sqlite3
from pathlib import Path

from tests.system.hostile.kit import Target, attempt, call, policy_set, put_back, said_by, wait_until

ALL = "\npermit (principal, action, resource);\n"


@attempt("edit-policy", "append to a policy file so that what is refused is permitted")
def edit_policy(target: Target) -> str:
    file = target.policies / "starter.cedar"
    with put_back(file) as kept:
        file.write_bytes(kept + ALL.encode())
        return "GET /props is answered" if wait_until(lambda: call(target, "/props")[0] == 200, 5) else ""


@attempt("add-policy", "put a policy file of its own beside the others")
def add_policy(target: Target) -> str:
    mine, before = target.policies / "mine.cedar", policy_set(target)
    mine.write_text(ALL)
    try:
        return "another set is in force" if wait_until(lambda: policy_set(target) != before, 5) else ""
    finally:
        mine.unlink()


@attempt("swap-policies", "rename the directory of policies away and put a link in its place")
def swap_policies(target: Target) -> str:
    before, aside = policy_set(target), target.policies.with_name("aside")
    mine = Path("/tmp/policies-of-mine")
    mine.mkdir(mode=0o700, exist_ok=True)
    (mine / "starter.cedar").write_text(ALL)
    target.policies.rename(aside)
    try:
        target.policies.symlink_to(mine)
        return "another set is in force" if wait_until(lambda: policy_set(target) != before, 5) else ""
    finally:
        target.policies.unlink(missing_ok=True)
        aside.rename(target.policies)


@attempt("edit-config", "write other settings for the next start")
def edit_config(target: Target) -> str:
    with put_back(target.config) as kept:
        target.config.write_bytes(kept + b"\n# mine\n")
        return "wrote the settings" if target.config.read_bytes() != kept else ""


@attempt("edit-code", "change Remit's own code")
def edit_code(target: Target) -> str:
    file = target.code / "remit" / "__init__.py"
    with put_back(file) as kept:
        file.write_bytes(kept + b"\n# mine\n")
        return "wrote into Remit's code" if file.read_bytes() != kept else ""


@attempt("inject-pth", "put a .pth file where Remit's interpreter reads one at its start")
def inject_pth(target: Target) -> str:
    mine, mark = target.code / "mine.pth", Path("/tmp/pth-ran")
    mine.write_text(f"import os; open({str(mark)!r}, 'w').close()\n")
    try:
        said_by(target.remit, "--version")
        return "its line ran in Remit" if mark.exists() else ""
    finally:
        mine.unlink()
        mark.unlink(missing_ok=True)


@attempt("python-path", "have PYTHONPATH and PYTHONSTARTUP bring code into Remit's command")
def python_path(target: Target) -> str:
    mine, mark = Path("/tmp/path-of-mine"), Path("/tmp/path-ran")
    mine.mkdir(exist_ok=True)
    (mine / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    said_by(target.remit, "--version", environ={"PYTHONPATH": str(mine), "PYTHONSTARTUP": f"{mine}/sitecustomize.py"})
    return "its module ran in Remit's command" if mark.exists() else ""


@attempt("swap-command", "put another program where `remit` is typed")
def swap_command(target: Target) -> str:
    command = Path(target.remit)
    aside = command.with_name("remit.aside")
    command.rename(aside)
    try:
        command.write_text("#!/bin/sh\necho mine\n")
        command.chmod(0o755)
        return "`remit` runs its program" if said_by(target.remit) == "mine\n" else ""
    finally:
        aside.replace(command)


@attempt("replace-key", "put another key in the log's key's place")
def replace_key(target: Target) -> str:
    key = target.state / "audit.key"
    with put_back(key) as kept:
        key.write_bytes(kept[::-1])
        return "the next start would sign with its key" if key.read_bytes() != kept else ""


@attempt("edit-database", "write into the state database")
def edit_database(target: Target) -> str:
    with sqlite3.connect(target.state / "state.db") as state:
        state.execute("create table mine (a)")
        state.execute("drop table mine")
    return "wrote into the database"


@attempt("link-state", "put a link in the state's place, so that Remit writes where it points")
def link_state(target: Target) -> str:
    link = target.state / "cache-of-mine"
    link.symlink_to("/home")
    link.unlink()
    return "made a link among Remit's files"


@attempt("link-run", "rename the directory of sockets away and put its own there")
def link_run(target: Target) -> str:
    aside = target.run.with_name("run-aside")
    target.run.rename(aside)
    try:
        target.run.symlink_to("/tmp")
        return "clients look for Remit's sockets in a directory of its own" if target.run.is_symlink() else ""
    finally:
        target.run.unlink(missing_ok=True)
        aside.rename(target.run)


def _lost(target: Target) -> str:
    """Evidence when `audit verify` is content with what is left."""
    verdict = said_by(target.remit, "audit", "verify", "--json")
    return "verify is content" if json.loads(verdict.splitlines()[0]).get("ok") else ""


@attempt("truncate-log", "cut the newest records off the log")
def truncate_log(target: Target) -> str:
    call(target)
    log = max((target.state / "audit").glob("inference*.log"))
    with put_back(log) as kept:
        lines = kept.rstrip(b"\0").splitlines(keepends=True)
        os.truncate(log, sum(map(len, lines[: len(lines) // 2])))
        return _lost(target) or "half the log is gone; verify says so"


@attempt("delete-log", "delete a file of the log")
def delete_log(target: Target) -> str:
    log = max((target.state / "audit").glob("inference*.log"))
    aside = log.with_suffix(".aside")
    log.rename(aside)
    try:
        return "a shard of the log is gone"
    finally:
        aside.rename(log)


@attempt("edit-log", "change a record in the log where it stands")
def edit_log(target: Target) -> str:
    call(target)
    log = max((target.state / "audit").glob("inference*.log"))
    with put_back(log) as kept:
        log.write_bytes(kept.replace(b"ada", b"bob").replace(b"infer", b"embed"))
        return "wrote into the log" if log.read_bytes() != kept else ""
