"""The decision point on the running program: its own worker, its doors, and people who are asked through it."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import Reply, curl
from tests.e2e.conftest import ME, Remit
from tests.e2e.servers import guarding, nobody
from tests.faults.world import alive, kill, records, status_of, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the other person's calls come from another uid")
PORT = 31300
CATALOGUE = f"""
[tool."mail/send"]
owner = "{ME}"
[tool."mail/read"]
owner = "{ME}"
side_effects = false
"""
POLICIES = """
@id("look") @reason("reading changes nothing")
permit (principal, action == Action::"call_tool", resource) when { !resource.side_effects };
@id("ask-first") @reason("the owner agrees to each mail") @approval("owner")
permit (principal, action == Action::"call_tool", resource == Tool::"mail/send");
@id("shows") @reason("somebody else agrees to what is shown") @approval("approver")
permit (principal, action == Action::"access", resource);
@id("own") permit (principal, action == Action::"infer", resource) when { principal.owner == resource.owner };
"""


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    state = tmp_path_factory.mktemp("decisions")
    (state / "policies").mkdir()
    (state / "policies/p.cedar").write_text(POLICIES)
    (state / "policies/catalogue.toml").write_text(CATALOGUE)
    doors = f'listen = "127.0.0.1:0"\ntls = "127.0.0.1:0"\nsocket = "{state}/ask.sock"\npoints = ["user/{ME}"]\n'
    with guarding(state, PORT, more=f"[people]\nbob = [65534]\n[decisions]\n{doors}") as running:
        yield running


def asked(tool: str = "mail/send", who: str = "bob", **arguments: Any) -> dict[str, Any]:
    return {"subject": {"type": "human", "id": who}, "action": {"name": "call_tool"},
            "resource": {"type": "tool", "id": tool}, "context": {"arguments": arguments}}  # fmt: skip


def ask(remit: Remit, body: dict[str, Any], **process: Any) -> Reply:
    url = f"{remit.ready['decisions']['authzen_tcp']}/access/v1/evaluation"
    return curl("-H", "content-type: application/json", "-d", json.dumps(body), url, **process)


def by_bob(remit: Remit, **arguments: Any) -> dict[str, Any]:
    reply = ask(remit, asked(**arguments), **nobody())
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = reply.json
    return answer


def test_what_takes_an_approval_is_asked_for_by_its_handle_and_good_once(remit: Remit) -> None:
    first = by_bob(remit, to="carl@maple.example", body="the minutes")
    handle = first["context"]["approval"]["handle"]
    assert (first["decision"], first["context"]["approval"]["needed"]) == (False, "owner")
    assert "remit approvals" not in json.dumps(first), "no command that widens is told to a caller"
    shown = json.loads(remit.run("approvals", "show", handle, "--json").stdout)["matter"]
    assert json.loads(shown["arguments"]) == {"to": "carl@maple.example", "body": "the minutes"}
    assert by_bob(remit, to="carl@maple.example", body="the minutes")["context"]["approval"]["handle"] == handle
    remit.run("approvals", "approve", handle)
    edited = by_bob(remit, to="eve@bad.example", body="the minutes")
    assert (edited["decision"], edited["context"]["approval"]["handle"] != handle) == (False, True)
    assert by_bob(remit, to="carl@maple.example", body="the minutes")["decision"] is True
    assert by_bob(remit, to="carl@maple.example", body="the minutes")["decision"] is False
    [allowed] = [one for one in records(remit.state) if one.get("facts", {}).get("approval")]
    assert allowed["facts"]["approval"]["id"] == handle


def test_who_agrees_sees_for_whom_and_what_a_point_asks(remit: Remit) -> None:
    asked_for = {"subject": {"type": "user", "id": "zoe"}, "action": {"name": "export"},
                 "resource": {"type": "report", "id": "q3", "properties": {"pages": 3}}}  # fmt: skip
    said = ask(remit, asked_for).json["context"]["approval"]
    shown = json.loads(remit.run("approvals", "show", said["handle"], "--json").stdout)["matter"]
    seen = json.loads(shown["arguments"])
    assert (seen["subject"]["id"], seen["resource"]["properties"]) == ("zoe", {"pages": 3})
    assert remit.run("approvals", "approve", said["handle"], check=False).returncode == 3, "who asks does not approve"


def test_a_no_of_a_person_is_told_as_one(remit: Remit) -> None:
    handle = by_bob(remit, to="no@maple.example")["context"]["approval"]["handle"]
    remit.run("approvals", "deny", handle)
    again = by_bob(remit, to="no@maple.example")
    assert (again["decision"], again["context"]["rule"]) == (False, "remit:approval-denied")


def test_only_points_ask_about_others(remit: Remit) -> None:
    assert ask(remit, asked("mail/read", ME), **nobody()).status == 403
    assert ask(remit, asked("mail/read", "bob")).json["decision"] is True


def test_the_doors_are_there(remit: Remit) -> None:
    doors = remit.ready["decisions"]
    socket = Path(doors["authzen_unix"])
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    found = curl("--unix-socket", str(socket), "http://localhost/.well-known/authzen-configuration")
    assert found.json["access_evaluation_endpoint"] == "http://localhost/access/v1/evaluation"
    assert str(socket) in remit.run("status").stdout
    without = curl("-k", f"{doors['authzen_tls']}/.well-known/authzen-configuration")
    assert without.status == 0, "nobody without an SVID gets in"


def test_its_worker_holds_no_secret_and_has_an_identity_of_its_own(remit: Remit) -> None:
    port = remit.ready["decisions"]["authzen_tls"].rpartition(":")[2]
    command = (
        f"openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
    )
    shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=False).stdout
    assert f"spiffe://{remit.ready['trust_domain']}/remit/gateway/decisions" in shown


def test_a_worker_that_dies_has_a_successor_at_the_same_doors(remit: Remit) -> None:
    workers = status_of(remit)["workers"]
    assert workers.keys() == {"inference", "decisions"}
    kill(workers["decisions"])
    until(
        lambda: status_of(remit)["workers"].get("decisions", workers["decisions"]) != workers["decisions"], "another"
    )
    until(lambda: ask(remit, asked("mail/read", "bob")).status == 200, "it answers")
    assert alive(workers["inference"])


def test_the_log_verifies(remit: Remit) -> None:
    assert "every checkpoint signed" in remit.run("audit", "verify").stdout
    assert any(record["kind"] == "end" and record["outcome"] == "decided" for record in records(remit.state))
