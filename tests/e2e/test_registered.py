"""Workloads that somebody registers: known by the kernel's facts at the gateway and the Workload API, and kept."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import CHAT, Reply, chat, curl
from tests.e2e.conftest import ME, Remit
from tests.e2e.servers import Recorded, guarded_fakes, start_task
from tests.e2e.test_servers_come_and_go import within

PORT = 31500
UID = f"unix:uid:{os.getuid()}"
NOBODY = 65534
OVER = 86400.0  # Unix seconds: long ago
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another uid")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registered")


@pytest.fixture(scope="module")
def world(place: Path) -> Iterator[tuple[Remit, dict[str, Recorded]]]:
    with guarded_fakes(place, PORT, "vllm") as world:
        yield world


@pytest.fixture
def remit(world: tuple[Remit, dict[str, Recorded]]) -> Remit:
    return world[0]


@pytest.fixture
def server(remit: Remit) -> dict[str, Any]:
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    return guarded


def program(place: Path, name: str, of: str = "curl") -> Path:
    """A program of its own: a copy of one that is here."""
    found = shutil.which(of)
    assert found is not None
    copy = Path(shutil.copy(found, place / name))
    for one in (place, *place.parents[:-2]):
        one.chmod(one.stat().st_mode | 0o711)  # any user may start it
    return copy


def add(remit: Remit, name: str, *selectors: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(tried(remit, name, *selectors, more=(*more, "--json"), check=True).stdout)
    assert not answer["pending"]
    workload: dict[str, Any] = answer["workload"]
    return workload


def tried(
    remit: Remit, name: str, *selectors: str, more: tuple[str, ...] = (), check: bool = False
) -> subprocess.CompletedProcess[str]:
    said = [word for one in selectors for word in ("--selector", one)]
    return remit.run("workload", "add", name, "--kind", "agent", *said, *more, check=check)


def shown(remit: Remit, name: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(remit.run("workload", "show", name, "--json").stdout)
    return row


def call(agent: Path, server: dict[str, Any], **process: Any) -> Reply:
    return curl(server["url"] + CHAT, *chat("hello"), executable=str(agent), **process)


def who_called(remit: Remit, reply: Reply) -> str | None:
    """The workload that the log names as the caller of the call with this answer."""
    said = remit.run("audit", "show", reply.headers["remit-decision"], "--json").stdout
    workload: str | None = json.loads(said.splitlines()[0])["record"]["workload"]
    return workload


def acts(remit: Remit, subject: str) -> list[dict[str, Any]]:
    lines = remit.run("audit", "tail", "-n", "1000", "--json").stdout.splitlines()
    rows = [json.loads(line)["record"] for line in lines]
    return [row for row in rows if row["kind"] == "act" and row["subject"] == subject]


def test_an_agent_is_known_at_the_gateway_from_then_on(remit: Remit, server: dict[str, Any], place: Path) -> None:
    agent = program(place, "agent-one")
    assert who_called(remit, call(agent, server)) is None
    added = add(remit, "one", UID, f"unix:path:{agent}", more=("--purpose", "answers tickets", "--vendor", "acme"))
    assert (added["state"], added["owner"], added["purpose"]) == ("active", ME, "answers tickets")
    assert added["capabilities"] == ["act", "store", "disclose"]
    assert added["spiffe_id"].endswith("/agent/one")
    assert who_called(remit, call(agent, server)) == added["spiffe_id"]
    assert who_called(remit, curl(server["url"] + CHAT, *chat("hello"))) is None, "another program is another"
    whats = [act["what"] for act in acts(remit, added["spiffe_id"])]
    assert whats == ["workload.registered", "workload.owned", "workload.activated"]
    registered = acts(remit, added["spiffe_id"])[0]
    assert registered["facts"]["selectors"] == [UID, "unix:path"], "paths tell people's names"
    assert registered["person"]


@needs_root
def test_an_agent_with_a_uid_of_its_own_acts_for_its_owner(remit: Remit, server: dict[str, Any], place: Path) -> None:
    agent = program(place, "agent-apart")
    refused = call(agent, server, user=NOBODY)
    assert (refused.status, refused.code) == (401, "unidentified")
    added = add(remit, "apart", f"unix:uid:{NOBODY}", f"unix:path:{agent}")
    assert who_called(remit, call(agent, server, user=NOBODY)) == added["spiffe_id"]
    assert who_called(remit, call(agent, server)) is None, "every selector must hold"


def test_a_script_gets_its_agent_s_svid_from_the_workload_api(remit: Remit, place: Path) -> None:
    script = Path(shutil.copy("tests/e2e/spiffe_workload.py", place / "fetch.py"))
    python = os.path.realpath(sys.executable)
    added = add(remit, "fetcher", UID, f"unix:path:{python}", f"script:path:{script}")
    done = subprocess.run(
        [sys.executable, str(script), "x509", str(place)],
        env={**os.environ, "SPIFFE_ENDPOINT_SOCKET": f"unix:{remit.ready['workload_api']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == added["spiffe_id"]


def test_suspended_it_is_refused_and_retired_its_selectors_are_free_again(
    remit: Remit, server: dict[str, Any], place: Path
) -> None:
    agent = program(place, "agent-ends")
    added = add(remit, "ends", UID, f"unix:path:{agent}")
    remit.run("workload", "suspend", "ends")
    refused = call(agent, server)
    assert (refused.status, refused.code) == (403, "not-active")
    told = tried(remit, "after", UID, f"unix:path:{agent}")
    assert (told.returncode, "match two identities" in told.stderr) == (2, True)
    remit.run("workload", "retire", "ends")
    assert call(agent, server).code == "not-active", "it does not become its owner's process"
    after = add(remit, "after", UID, f"unix:path:{agent}")
    assert who_called(remit, call(agent, server)) == after["spiffe_id"] != added["spiffe_id"]
    told = tried(remit, "ends", UID, "unix:path:/opt/agent")
    assert (told.returncode, "was called `ends`, and its name is not given again" in told.stderr) == (2, True)


def test_what_an_agent_starts_governs_nothing(remit: Remit, server: dict[str, Any], place: Path) -> None:
    shell = program(place, "agent-shell", "bash")
    command = [Path(sys.executable).with_name("remit"), "task", "start", server["name"], "--allow", "administer"]
    asked = f"{' '.join(map(str, command))} --state {remit.state}; true"
    assert "remit_task_" in subprocess.run([shell, "-c", asked], capture_output=True, text=True, check=True).stdout
    add(remit, "shell", UID, f"unix:path:{shell}")
    done = subprocess.run([shell, "-c", asked], capture_output=True, text=True, check=True)
    assert (done.stdout, "runs under `shell`, a governed workload" in done.stderr) == ("", True)


def test_what_can_t_be_told_from_others_is_not_registered(remit: Remit, server: dict[str, Any]) -> None:
    uid, path = os.getuid(), os.path.realpath(sys.executable)
    for name, selectors, problem in (
        ("x", (), "has no selectors: no process would be it"),
        ("x", (UID, f"unix:uid:{uid + 1}"), "it has one `unix:uid`"),
        ("x", ("docker:label:x",), "`docker:label:x` is no selector known here"),
        ("x", ("cgroup:/user.slice",), "are all weak"),
        ("x", (UID,), "match two identities"),
        ("x", (f"unix:path:{path}",), "match two identities"),
        ("1234", (UID, "unix:path:/opt/x"), "`1234` can't be a workload's name"),
        ("a/b", (UID, "unix:path:/opt/x"), "`a/b` can't be a workload's name"),
        (server["name"], (UID, "unix:path:/opt/x"), "is called"),
    ):
        told = tried(remit, name, *selectors)
        assert (told.returncode, problem in told.stderr) == (2, True), told.stderr
    told = tried(remit, "x", UID, "unix:path:/opt/x", more=("--owner", "nemo"))
    assert (told.returncode, "nobody known here is called `nemo`" in told.stderr) == (1, True)
    told = tried(remit, "x", UID, "unix:path:/opt/x", more=("--owner", ""))
    assert (told.returncode, "a workload needs an owner" in told.stderr) == (2, True)
    told = remit.run("workload", "add", "x", "--kind", "toaster", "--selector", UID, check=False)
    assert (told.returncode, "`toaster` is no kind of workload" in told.stderr) == (2, True)
    assert "x" not in {row["name"] for row in json.loads(remit.run("workload", "list", "--json").stdout)}


def test_what_is_declared_is_kept_and_on_record_with_what_it_was(remit: Remit, server: dict[str, Any]) -> None:
    name = server["name"]
    answer = json.loads(
        remit.run(
            "workload", "set", name, "--purpose", "tickets", "--data-set", "a", "--data-set", "b", "--json"
        ).stdout
    )
    assert answer["changed"] == {"purpose": ["", "tickets"], "data_sets": [[], ["a", "b"]]}
    answer = json.loads(
        remit.run("workload", "set", name, "--zone", "tools", "--review-due", "1970-01-02", "--json").stdout
    )
    assert answer["workload"]["capabilities"] == ["act", "store", "disclose"], "who is in the zone of tools acts"
    assert answer["workload"]["overdue"]
    assert "OVERDUE" in remit.run("workload", "list").stdout
    last = acts(remit, server["spiffe_id"])[-1]
    assert (last["what"], last["facts"]["zone"]) == ("workload.declared", ["inference", "tools"])
    assert last["facts"]["review_due"][0] is None
    told = remit.run("workload", "set", name, "--review-due", "never", "--zone", "inference", "--purpose", "").stdout
    assert (shown(remit, name)["review_due"], shown(remit, name)["overdue"], told) == (None, False, "")
    for wrong in (("--zone", "elsewhere"), ("--environment", "live"), ("--review-due", "soon"), ()):
        assert remit.run("workload", "set", name, *wrong, check=False).returncode == 2


def test_it_is_in_force_again_when_control_was_killed_and_is_let_go_by_no_search(
    remit: Remit, server: dict[str, Any], place: Path
) -> None:
    agent = program(place, "agent-stays")
    added = add(remit, "stays", UID, f"unix:path:{agent}")
    os.kill(remit.ready["pid"], signal.SIGKILL)
    remit.event("ready")
    assert "stays" in {one["name"] for one in remit.ready["registered"]}
    assert [one["name"] for one in remit.ready["guarded"]] == [server["name"]]
    within(5, lambda: call(agent, server).status == 200)
    assert who_called(remit, call(agent, server)) == added["spiffe_id"]


def test_a_workload_goes_to_another_owner_and_the_former_one_s_tasks_end(
    world: tuple[Remit, dict[str, Recorded]], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    servers = json.dumps([world[1]["vllm"].address])
    (state / "config.toml").write_text(
        f"[discovery]\nlook = false\nservers = {servers}\n[gateway]\nport = {PORT + 50}\n"
    )
    agent = program(tmp_path, "agent-sold")
    first = Remit(state, owner="ada")
    try:
        name = first.event("ready")["guarded"][0]["name"]
        task, _ = start_task(first, name, "infer")
        add(first, "sold", UID, f"unix:path:{agent}", more=("--review-due", "2027-01-31"))
    finally:
        first.stop()
    second = Remit(state, owner="bob")
    try:
        ready = second.event("ready")
        assert [one["owner"] for one in (*ready["guarded"], *ready["registered"])] == ["ada", "ada"]
        refused = call(agent, ready["guarded"][0])
        assert refused.status == 200, "ada's agent on ada's server, whoever runs this"
        assert task in {one["id"] for one in ready["tasks"]}
        for one in (name, "sold"):
            answer = json.loads(second.run("workload", "transfer", one, "--to", "bob", "--json").stdout)
            assert (answer["workload"]["owner"], answer["workload"]["state"]) == ("bob", "active")
        assert second.run("task", "list", "--json").stdout.strip() == "[]"
        [act] = [
            one for one in acts(second, ready["registered"][0]["spiffe_id"]) if one["what"] == "workload.transferred"
        ]
        assert act["facts"]["by"] == "root or whoever runs Remit"
        told = second.run("workload", "transfer", name, "--to", "bob", check=False)
        assert (told.returncode, "is bob's already" in told.stderr) == (3, True)
        told = second.run("workload", "transfer", name, "--to", "nemo", check=False)
        assert (told.returncode, "nobody known here" in told.stderr) == (1, True)
    finally:
        second.stop()
    restore_as_ada_s(state / "state.db")
    third = Remit(state, owner="bob")
    try:
        ready = third.event("ready")
        assert [one["owner"] for one in (*ready["guarded"], *ready["registered"])] == ["bob", "bob"]
    finally:
        third.stop()


def restore_as_ada_s(path: Path) -> None:
    """The state as a backup of it would be that was made before anything was transferred."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        older = "owner = 'ada', record = json_set(record, '$.owner', 'ada')"
        assert database.execute(f"update workloads set {older}").rowcount == 2
        database.commit()
