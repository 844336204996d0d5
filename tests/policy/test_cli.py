"""`remit policy check` and `show`, as a person runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from remit.policy import write_starter


def remit(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys, typer; from remit.cli.policy import app; from remit.errors import RemitError\n"
        "try: app(sys.argv[1:])\n"
        "except RemitError as error: print(error, error.hint, sep='\\n', file=sys.stderr); sys.exit(error.exit_code)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "REMIT_STATE": str(state), "HOME": str(state)},
    )


def test_check_says_ok_with_counts_and_an_error_with_its_place(tmp_path: Path) -> None:
    absent = remit("check", state=tmp_path)
    assert absent.returncode == 2
    assert "there is no policy directory" in absent.stderr
    write_starter(tmp_path / "policies")
    good = remit("check", state=tmp_path)
    assert good.returncode == 0, good.stderr
    assert good.stdout.startswith("ok   1 file, 7 permits, 1 forbid, 3 profiles ")
    assert json.loads(remit("check", "--json", state=tmp_path).stdout)["forbids"] == 1
    (tmp_path / "policies" / "mine.cedar").write_text(
        '@id("x")\npermit(principal, action, resource)\nwhen { nope };\n'
    )
    bad = remit("check", state=tmp_path)
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert bad.stderr.startswith("mine.cedar:3:8: invalid variable: nope")
    elsewhere = tmp_path / "elsewhere"
    write_starter(elsewhere)
    assert remit("check", str(elsewhere), state=tmp_path).returncode == 0


def test_show_says_what_takes_an_approval_and_what_is_only_observed(tmp_path: Path) -> None:
    where = tmp_path / "policies"
    where.mkdir(mode=0o700)
    (where / "p.cedar").write_text(
        '@id("a") @approval("approver") permit (principal, action, resource);\n'
        '@id("o") @mode("observe") forbid (principal, action, resource);\n'
    )
    shown = remit("show", state=tmp_path).stdout
    assert "        takes an approval: approver\n" in shown
    assert "        NOT ENFORCED: only observed\n" in shown
    rows = json.loads(remit("show", "--json", state=tmp_path).stdout)["policies"]
    assert [(row["approval"], row["observed"]) for row in rows] == [("approver", False), ("", True)]


def test_show_lists_id_place_effect_actions_and_reason(tmp_path: Path) -> None:
    write_starter(tmp_path / "policies")
    shown = remit("show", state=tmp_path)
    assert shown.returncode == 0, shown.stderr
    row = "forbid  no-unknown-model-in-prod  infer, embed\n        starter.cedar:77   a production model"
    assert row in shown.stdout
    rows = json.loads(remit("show", "--json", state=tmp_path).stdout)["policies"]
    assert rows[0]["id"] == "owners-use"
    assert rows[0]["actions"] == ["infer", "embed"]
    assert rows[0]["findings"]["restricted"] == "mask"
