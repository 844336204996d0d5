"""How an emergency instance ends, what is left of it, and who gets none."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from remit.persons.recovery_code import fresh_code
from tests.e2e.conftest import REMIT, Remit
from tests.faults.broken import (
    HEADER,
    REASON,
    Sealed,
    assert_nobody_serves,
    damaged,
    held,
    mended,
)
from tests.faults.world import ask, running, until


def test_it_ends_by_itself_and_the_next_control_has_it_on_record_and_due(here: Sealed, sealed: Sealed) -> None:
    damaged(here)
    with held(here, seconds=2) as holding:
        closed = holding.event("closed")
        assert closed["why"] == "its time was over"
        assert holding.process.wait(20) == 0
    assert here.run("audit", "verify").returncode == 0, "it is one log with control's"
    mended(here, sealed)
    with running(here.state) as remit:
        due = here.said("status")["break_glass"]["due"]
        assert [one["id"] for one in due] == [closed["id"]]
        doctor = {row["fact"]: row for row in here.said("doctor")["facts"]}
        assert doctor["break-glass is reviewed"]["is"] == "false"
        assert HEADER not in ask(here.port).headers
        done = remit.run("break-glass", "review", closed["id"], "--note", "looked at all of it")
        assert "is self-reviewed" in done.stdout, "nobody else is admitted here"
        assert here.said("status")["break_glass"]["due"] == []
    told = subprocess.run(
        [REMIT, "audit", "tail", "-n", "400", "--json", "--state", str(here.state)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert told.count('"break-glass.opened"') == 1
    assert '"break-glass.closed"' in told


def test_killed_it_is_closed_and_listed_and_no_other_takes_it_up(here: Sealed, sealed: Sealed) -> None:
    damaged(here)
    with held(here) as holding:
        os.kill(holding.control(), signal.SIGKILL)
        assert "died (signal 9)" in holding.event("error")["message"]
        assert holding.process.wait(20) == 1
    [opening] = here.listed()
    assert (opening["standing"], opening["left"]) == ("review due", 0.0)
    assert_nobody_serves(here)
    mended(here, sealed)
    with running(here.state):
        assert HEADER not in ask(here.port).headers
        assert here.said("status")["break_glass"]["open"] is None
        [opening] = here.listed()
        assert (opening["standing"], opening["why"]) == ("review due", "its instance had ended")


# Another time for whoever is started with it: the seconds in the file that SKEW names, added to the time of day.
SKEWED = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t which, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(which, at);
    FILE *file = which == CLOCK_REALTIME ? fopen(getenv("SKEW"), "re") : NULL;
    long skew = 0;
    if (file) { if (fscanf(file, "%ld", &skew) == 1) at->tv_sec += skew; fclose(file); }
    return done;
}
"""


@pytest.mark.long
@pytest.mark.skipif(shutil.which("cc") is None, reason="a clock of a test's own takes a C compiler")
@pytest.mark.parametrize(("skew", "seconds", "within"), [(-3600, 6, 30), (3600, 600, 10)])
def test_it_ends_in_time_by_a_clock_that_is_set(
    here: Sealed, tmp_path: Path, skew: int, seconds: int, within: float
) -> None:
    damaged(here)
    library, file = tmp_path / "skew.so", tmp_path / "skew"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-", "-ldl"]
    subprocess.run(command, input=SKEWED, text=True, check=True, timeout=60)
    file.write_text("0")
    with held(here, seconds=seconds, environ={"LD_PRELOAD": str(library), "SKEW": str(file)}) as holding:
        began = time.time()
        event = holding.event("emergency")
        assert abs(event["opened"] - began) < 60
        file.write_text(str(skew))
        assert holding.event("closed", within)["why"] == "its time was over"


def test_it_ends_with_the_terminal_that_holds_it(here: Sealed) -> None:
    damaged(here)
    with held(here) as holding:
        holding.event("ready")
        holding.process.kill()
        until(lambda: here.listed()[0]["closed"] is not None, "it is closed")
        assert here.listed()[0]["why"] == "the terminal that held it open has ended"
        assert_nobody_serves(here)


@pytest.mark.long
def test_an_opening_that_a_backup_forgot_is_due_again(here: Sealed) -> None:
    with running(here.state) as remit:
        open_and_close(here)
        [used] = here.listed()
        remit.run("break-glass", "review", used["id"], "--note", "looked at all of it")
    shutil.rmtree(here.state / "break-glass")
    with running(here.state):
        [again] = until(here.listed, "the log tells of it")
        assert (again["id"], again["standing"]) == (used["id"], "review due")
        assert (again["person"], again["reason"]) == (used["person"], used["reason"])
        assert HEADER not in ask(here.port).headers


def open_and_close(here: Sealed) -> None:
    """By control, as it runs."""
    opened = here.run("break-glass", "open", "--reason", REASON, "--code-stdin", stdin=here.code)
    assert opened.returncode == 0, opened.stderr
    assert here.run("break-glass", "close").returncode == 0


@pytest.mark.long
def test_after_a_killed_one_another_can_be_opened(here: Sealed) -> None:
    damaged(here)
    with held(here) as first:
        os.kill(first.control(), signal.SIGKILL)
        first.process.wait(20)
    with held(here) as second:
        second.event("ready")
        assert here.call().status == 200
    assert [one["standing"] for one in here.listed()] == ["review due", "review due"]


@pytest.mark.long
def test_a_control_that_hangs_is_named_to_be_ended(here: Sealed) -> None:
    with running(here.state) as remit:
        pid = remit.ready["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            refused = here.run("break-glass", "open", "--reason", REASON, "--code-stdin", stdin=here.code)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert refused.returncode == 1
        assert f"kill -KILL {pid}" in refused.stderr


@pytest.mark.long
def test_two_at_once_are_one(here: Sealed) -> None:
    damaged(here)
    with held(here) as one, held(here) as other:
        until(lambda: len(here.listed()) == 1, "one is opened")
        until(lambda: {one.process.poll(), other.process.poll()} != {None}, "the other is refused")
        loser = one if one.process.poll() is not None else other
        assert loser.process.wait(40) == 3
        assert "is open already" in loser.said()
        assert here.call().status == 200
    assert len(here.listed()) == 1


@pytest.mark.long
def test_control_killed_again_and_again(here: Sealed) -> None:
    remit = Remit(here.state)
    try:
        killed: set[int] = set()
        while len(killed) < 5 and remit.process.poll() is None:
            event = remit._queue.get(timeout=30)
            if event is None:
                break
            if event["event"] == "ready" and event["pid"] not in killed:
                killed.add(event["pid"])
                os.kill(event["pid"], signal.SIGKILL)
        assert remit.process.wait(30) == 1, "it gave up"
    finally:
        remit.stop()
    with held(here) as holding:
        holding.event("ready")
        assert here.call().status == 200


@pytest.mark.long
@pytest.mark.parametrize("wrong_before", [0, 20])
def test_a_wrong_code_opens_nothing_and_keeps_the_right_one_waiting_for_nothing(
    here: Sealed, wrong_before: int
) -> None:
    damaged(here)
    if wrong_before:
        wrong = here.state / "break-glass" / "wrong-codes.json"
        wrong.write_text(json.dumps({"wrong": wrong_before, "last": time.time() + 99999}))
        wrong.chmod(0o600)
    else:
        with held(here, code=fresh_code(bytes(17)).reveal()) as refused:
            assert refused.process.wait(30) == 3
            assert "not the recovery code" in refused.event("error")["message"]
        assert here.listed() == []
        assert here.said("break-glass", "list")["wrong_codes"] == 1
    began = time.monotonic()
    with held(here) as holding:
        holding.event("ready")
        assert time.monotonic() - began < 20, "less than what one answer to so many wrong codes is held back"
    assert here.said("break-glass", "list")["wrong_codes"] == 0
