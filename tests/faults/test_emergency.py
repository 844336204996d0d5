"""Break-glass with control, the database, the settings, the log or the policies broken, through the whole program."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.servers import Recorded, nobody
from tests.faults.broken import (
    HEADER,
    REASON,
    Held,
    Sealed,
    a_directory,
    a_newer_one,
    assert_nobody_serves,
    damaged,
    forbidden,
    held,
    keys_open_to_others,
    mended,
    missing,
    no_log_key,
    no_policies,
    person,
    truncated,
)
from tests.faults.world import running

Opened = tuple[Sealed, Held]


@pytest.fixture(scope="module")
def opened(sealed: Sealed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """One emergency for those that look at it."""
    state = sealed.copy(tmp_path_factory.mktemp("opened") / "state")
    damaged(state)
    with held(state, seconds=900) as holding:
        holding.event("ready")
        yield state, holding


@pytest.mark.parametrize(
    "break_it",
    [
        no_policies,
        *(pytest.param(one, marks=pytest.mark.long) for one in (forbidden, damaged, truncated, missing)),
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in (a_directory, a_newer_one, keys_open_to_others, no_log_key)
        ),
    ],
    ids=lambda one: one.__name__,
)
def test_its_persons_calls_go_through_whatever_keeps_control_from_starting(
    here: Sealed, break_it: Callable[[Sealed], None]
) -> None:
    break_it(here)
    up = here.run("up", "--json", "--owner", person())
    assert up.returncode not in {0, 75}, up.stdout
    with held(here) as holding:
        holding.event("ready")
        reply = here.call()
        assert reply.status == 200
        assert REASON in reply.headers[HEADER]
        [opening] = here.listed()
        assert (opening["standing"], opening["person"], opening["proof"]) == ("open", person(), "recovery-code")
        assert holding.end() == 0
    [opening] = here.listed()
    assert (opening["standing"], opening["why"]) == ("review due", "SIGTERM")
    assert_nobody_serves(here)


@pytest.mark.long
@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a network of its own")
def test_a_configuration_that_cant_be_read_leaves_its_defaults(here: Sealed) -> None:
    (here.state / "config.toml").write_text("[gateway]\nport = ")
    with held(here, by=("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")) as holding:
        assert "the configuration is not used" in holding.event("note")["text"]
        holding.event("emergency")


@pytest.mark.long
def test_what_was_suspended_stays_so_by_the_logs_word_then_and_afterwards(here: Sealed, sealed: Sealed) -> None:
    with running(here.state) as remit:
        remit.run("workload", "suspend", remit.ready["guarded"][0]["name"])
    damaged(here)
    with held(here) as holding:
        assert holding.event("ready")["guarded"][0]["state"] == "suspended"
        assert here.call().status == 403
    mended(here, sealed)  # as it was before the suspension
    with running(here.state) as remit:
        assert remit.ready["guarded"][0]["state"] == "suspended"


@pytest.mark.long
def test_a_locked_database_is_not_waited_for(here: Sealed) -> None:
    with contextlib.closing(sqlite3.connect(here.state / "state.db", isolation_level=None)) as database:
        database.execute("pragma locking_mode = exclusive")
        database.execute("begin exclusive")
        with held(here) as holding:
            holding.event("ready")
            assert "database is locked" in str(holding.events)
            assert here.call().status == 200


def test_a_secret_is_masked_as_ever(opened: Opened, recorded: Recorded) -> None:
    secret = "ghp_" + "k2Jd8sLq0Zx7Vb5Nm3Pw9Rt1Yc6Hf4Gu8AeT"[:36]
    assert opened[0].call(f"the token is {secret}").status == 200
    assert "the token is" in recorded.file.read_text()
    assert secret not in recorded.file.read_text()


def test_only_its_person_gets_in_and_everybody_reads_why(opened: Opened) -> None:
    here, holding = opened
    if os.getuid() == 0:
        done = subprocess.run(
            ["curl", "-s", "-D", "-", "-o", "/dev/null", f"http://127.0.0.1:{here.port}/v1/models"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            **nobody(),
        )
        assert done.stdout.startswith("HTTP/1.1 4"), done.stdout
        assert f"{HEADER}: {person()} until" in done.stdout
    status = here.said("status")
    assert status["emergency"]
    assert status["break_glass"]["open"]["reason"] == REASON
    assert any(event["event"] == "emergency" for event in holding.events)
    told = here.run("status")
    assert told.returncode == 0, told.stderr
    assert f"BREAK-GLASS for {person()}" in told.stdout


def test_it_changes_nothing_else(opened: Opened) -> None:
    here, holding = opened
    before = {path: path.read_bytes() for path in (here.state / "policies").rglob("*") if path.is_file()}
    server = next(one for one in holding.events if one["event"] == "ready")["guarded"][0]["name"]
    for command in (
        ("task", "start", server, "--allow", "infer"),
        ("workload", "suspend", server),
        ("workload", "resume", server),
        ("workload", "own", server),
        ("model", "approve", "tiny"),
        ("authority", "rotate"),
        ("break-glass", "seal"),
        ("break-glass", "review", "bg-0", "--note", "looked at all of it"),
        ("down",),
    ):
        refused = here.run(*command)
        assert refused.returncode != 0, command
        assert "an emergency instance" in refused.stderr, (command, refused.stderr)
    assert {path: path.read_bytes() for path in (here.state / "policies").rglob("*") if path.is_file()} == before
