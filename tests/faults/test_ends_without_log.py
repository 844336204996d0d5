"""A task that is ended while control can write nothing: over at once, said so, and over for good."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.faults.test_log_faults import forbid_writes, root
from tests.faults.world import apart, ask, configure, port_of, records, running, status_of, until

PORT = 28950


def ended_in(state: Path, task: str) -> bool:
    with closing(sqlite3.connect(state / "state.db")) as kept:
        [(record,)] = kept.execute("select record from tasks where id = ?", (task,)).fetchall()
    return json.loads(record)["ended"] is not None


@root
def test_ending_a_task_waits_for_no_log(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with apart() as address:
        configure(state, PORT, address)
        with running(state) as remit:
            status = status_of(remit)
            started = remit.run("task", "start", status["guarded"][0]["name"], "--allow", "list")
            task, token = started.stderr.split()[1], started.stdout.strip()
            key = {"authorization": f"Bearer {token}"}
            assert ask(port_of(remit), headers=key).status == 200
            forbid_writes(status["pid"])
            ended = remit.run("task", "end", task)
            assert f"ended {task}" in ended.stderr
            assert "NOT ON RECORD: not kept: " in ended.stderr
            assert "not recorded: " in ended.stderr
            assert ask(port_of(remit), headers=key).status == 401
            assert task in status_of(remit)["audit"]["unrecorded"]
            assert f"the end of {task} is NOT ON RECORD" in remit.run("status").stdout
            forbid_writes(status["pid"], allowed=True)
            until(lambda: ended_in(state, task), "it is kept as soon as there is room")
        with running(state) as again:
            assert status_of(again)["tasks"] == []
            assert ask(port_of(again), headers=key).status == 401
            assert "ok" in again.run("audit", "verify").stdout
        ends = [one for one in records(state) if one.get("what") == "task.ended"]
        assert [one["subject"] for one in ends] == [task]
        assert "took nothing" in ends[0]["facts"]["why"]
