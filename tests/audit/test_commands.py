"""`remit audit`, as transcripts."""

import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from remit.cli.audit import app
from remit.errors import AuditError, RemitError, UsageError
from tests.audit.conftest import Book
from tests.audit.records import act, end, start

SHARD = re.compile(r"inference-0\.\d{8}T\d{6}\.\d{3}Z")


@pytest.fixture
def written(book: Book) -> Book:
    log = book.open()
    log.record_sync(start("01ALLOWED"), b"x")
    log.record_sync(end("01ALLOWED"), b"x")
    log.record_sync(start("01REFUSED", outcome="refused"), b"x")
    log.record_sync(act("task.started", "t-7"), b"x")
    log.record_sync(start("01PENDING"), b"x")
    book.close(log)
    return book


def run(book: Book, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--dir", str(book.directory)])
    if isinstance(result.exception, RemitError):
        raise result.exception
    return result


def test_tail_says_who_did_what(written: Book) -> None:
    lines = run(written, "tail").stdout.splitlines()
    assert [re.split(r"\s{2,}", line)[1].split()[0] for line in lines] == [
        "opened", "allowed", "done", "refused", "control", "allowed", "closed"
    ]  # fmt: skip
    assert (
        "infer on llama-4121 by curl (pid 5120)  POST /v1/chat/completions  found github-pat  01ALLOWED" in lines[1]
    )
    assert "200, 512 bytes in, 2048 out in 812 ms, masked 1 github-pat  01ALLOWED" in lines[2]
    assert "owner-infers" in lines[3]
    assert "task.started t-7 by p-1234567890abcdef" in lines[4]
    assert len(run(written, "tail", "-n", "2").stdout.splitlines()) == 2
    assert run(written, "tail", "-n", "0").stdout == ""


def test_tail_says_what_was_only_observed(book: Book) -> None:
    log = book.open()
    facts = {"observed": ["remit:approval-needed"], "observing": True}
    log.record_sync(replace(start("01ALLOWED"), facts=facts), b"x")
    book.close(log)
    assert "NOT ENFORCED: remit:approval-needed  01ALLOWED" in run(book, "tail").stdout


def test_tail_says_what_amounts_are_of_and_what_was_asked_and_nothing_of_nothing(book: Book) -> None:
    log = book.open()
    asked = {"action": "call_tool", "on": "maple", "thing": "mail/send", "label": None, "size": 25}
    nobody = {"serial": None, "signer": None}
    acts: list[tuple[str, dict[str, Any]]] = [
        ("task.started", {"budget": {"calls": 5000, "tokens": 30}}),
        ("approval.asked", {"summary": asked, "needed": "owner"}),
        ("policy.loaded", {"bundle": nobody}),
    ]
    log.record_sync(replace(act("token.refused", ""), facts={}), b"x")
    for what, facts in acts:
        log.record_sync(replace(act(what, "it"), facts=facts), b"x")
    book.close(log)
    lines = [line.split("control    ")[1] for line in run(book, "tail").stdout.splitlines() if "control " in line]
    by = "it by p-1234567890abcdef"
    assert lines == [
        "token.refused by p-1234567890abcdef",
        f"task.started {by}  budget 5,000 calls, 30 tokens",
        f"approval.asked {by}  summary call_tool mail/send  needed owner",
        f"policy.loaded {by}",
    ]


def test_tail_of_a_question_that_could_not_be_read(book: Book) -> None:
    log = book.open()
    unread = replace(start("01WHAT", outcome="refused"), action="", route=" ", body="", reason="nobody known")
    log.record_sync(unread, b"x")
    book.close(log)
    said = "refused    what nobody could tell on llama-4121 by curl (pid 5120)  found github-pat"
    assert said in run(book, "tail").stdout


def test_tail_as_json_keeps_the_stored_bytes(written: Book) -> None:
    rows = [json.loads(line) for line in run(written, "tail", "--json").stdout.splitlines()]
    assert [row["index"] for row in rows] == list(range(7))
    assert rows[1]["record"] == start("01ALLOWED").to_dict()


def test_tail_follows_what_is_written(book: Book) -> None:
    log = book.open()
    command = "from remit.cli.audit import app; app()"
    follower = subprocess.Popen(
        [sys.executable, "-c", command, "tail", "-f", "--json", "--dir", str(book.directory)], stdout=subprocess.PIPE
    )
    assert follower.stdout is not None
    timer = threading.Timer(30, follower.kill)
    timer.start()
    try:
        assert json.loads(follower.stdout.readline())["record"]["kind"] == "header"
        log.record_sync(start("01NEW"), b"x")
        assert json.loads(follower.stdout.readline())["record"]["id"] == "01NEW"
        other = book.open("control")  # a shard that begins later is followed too
        assert json.loads(follower.stdout.readline())["shard"] == other.shard
    finally:
        timer.cancel()
        follower.kill()
        follower.wait()
        follower.stdout.close()
    book.close(other)
    book.close(log)


def test_show_tells_all_about_a_decision(written: Book) -> None:
    out = run(written, "show", "01ALLOWED").stdout
    assert re.search(r"^start  record 1 of shard \S+, covered by checkpoint 2$", out, re.MULTILINE)
    assert re.search(r"^  process.name +curl$", out, re.MULTILINE)
    assert re.search(r"^  found.github-pat +restricted$", out, re.MULTILINE)
    assert re.search(r"^end  record 2 of shard", out, re.MULTILINE)
    by_ref = run(written, "show", next(written.directory.glob("*.log")).stem + "#4", "--json").stdout
    assert json.loads(by_ref)["record"]["subject"] == "t-7"
    with pytest.raises(AuditError, match="is about `01NOBODY`"):
        run(written, "show", "01NOBODY")
    with pytest.raises(UsageError, match="does not name a record"):
        run(written, "show", "x#y")


def test_verify_a_good_log(written: Book) -> None:
    result = run(written, "verify")
    assert result.exit_code == 0
    assert result.stdout.startswith("ok   1 shard, 7 records, every checkpoint signed by its writer's key (")
    assert "truncation not checked: give --checkpoint FILE" in result.stdout
    assert "1 call end unknown" in result.stdout
    answer = json.loads(run(written, "verify", "--json").stdout)
    assert answer["ok"] is True
    assert answer["truncation_checked"] is False
    assert (answer["records"], answer["end_unknown"]) == (7, 1)


def test_verify_against_what_was_saved(written: Book, tmp_path: Path) -> None:
    saved, key = tmp_path / "heads", tmp_path / "audit.pub"
    assert run(written, "export", "--heads", "--out", str(saved)).exit_code == 0
    key.write_bytes((written.directory / "audit.pub").read_bytes())
    told = run(written, "verify", "--key", str(key), "--checkpoint", str(saved)).stdout
    assert "holds all of the saved checkpoint (1 head): nothing was cut off" in told
    assert "not checked" not in told
    log = next(written.directory.glob("*.log"))
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    result = run(written, "verify", "--key", str(key), "--checkpoint", str(saved))
    assert result.exit_code == 3
    assert "record 6 of" in result.stdout
    assert "the saved checkpoint has 7 records" in result.stdout


def test_verify_names_the_altered_record_and_exits_3(written: Book) -> None:
    log = next(written.directory.glob("*.log"))
    log.write_bytes(log.read_bytes().replace(b'"outcome":"refused"', b'"outcome":"allowed"'))
    result = run(written, "verify")
    assert result.exit_code == 3
    assert re.match(r"TAMPERED   record 3 `01REFUSED` of inference-0\S+ \(byte \d+\) was altered\n", result.stdout)
    answer = json.loads(run(written, "verify", "--json").stdout)
    assert (answer["ok"], answer["index"], answer["id"]) == (False, 3, "01REFUSED")
    assert SHARD.fullmatch(answer["shard"])


def test_verify_needs_the_right_key(written: Book, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="can't be read"):
        run(written, "verify", "--key", str(tmp_path / "nowhere"))
    wrong = tmp_path / "wrong.pub"
    wrong.write_text("hello")
    with pytest.raises(AuditError, match="not an audit public key"):
        run(written, "verify", "--key", str(wrong))
    stranger = Book(tmp_path / "stranger")
    result = run(written, "verify", "--key", str(stranger.directory / "audit.pub"))
    assert result.exit_code == 3
    assert "no certificate" in result.stdout


def test_export_is_json_lines_with_the_heads_last(written: Book) -> None:
    rows = [json.loads(line) for line in run(written, "export").stdout.splitlines()]
    assert [row.get("index") for row in rows] == [*range(7), None]
    assert rows[-1]["head"].startswith("maple-7f3a.local/audit/inference-0.")


def test_control_characters_of_a_caller_do_not_reach_the_terminal(book: Book) -> None:
    log = book.open()
    log.record_sync(act("enrolled", "evil\x1b[2J\nname"), b"x")
    book.close(log)
    assert "\x1b" not in run(book, "tail").stdout
    assert "\x1b" not in run(book, "show", "evil\x1b[2J\nname").stdout
    assert len(run(book, "tail").stdout.splitlines()) == 3


def test_an_altered_log_can_still_be_read(written: Book) -> None:
    log = next(written.directory.glob("*.log"))
    log.write_bytes(log.read_bytes().replace(b'{"kind":"end","id"', b'{"kind":"end","xx"'))
    assert "unreadable" in run(written, "tail").stdout
