"""What of a user's own state may come over: judged record by record, whatever a program of theirs wrote there."""

import json
import pwd
from dataclasses import replace
from typing import Any

import pytest

from remit.config import AuthoritySettings, GatewaySettings, ProofSettings, RolesSettings, Settings, parse
from remit.errors import RemitError, StateError
from remit.identity import SpiffeId
from remit.install.moved import Moved, judge
from remit.install.moved_config import system_text
from remit.inventory import Human, Kind, LifeState, Workload

NOW = 1_800_000_000.0
ADA = pwd.struct_passwd(("ada", "x", 1001, 1001, "", "/home/ada", "/bin/bash"))
ROOT = pwd.struct_passwd(("root", "x", 0, 0, "", "/root", "/bin/bash"))
PSEUDONYM = "p-0123456789abcdef"


def workload(name: str = "helper", **more: Any) -> Workload:
    own = Workload(
        SpiffeId.of("maple.local", "agent", name),
        name,
        Kind.AGENT,
        "ada",
        "",
        "",
        "private",
        (),
        selectors=("unix:uid:1001", "unix:path:/usr/bin/helper"),
        found="registered",
    )
    return replace(own, **more)


def facts(*workloads: Workload, **more: Any) -> dict[str, Any]:
    """As a child that is ada tells them."""
    rows = {
        "humans": [{"name": "ada", "person": PSEUDONYM, "uids": "[1001]", "login_issuer": "https://evil"}],
        "workloads": [{"record": json.dumps(one.to_dict())} for one in workloads],
        "meta": [{"key": "trust_domain", "value": "maple.local"}, {"key": "other", "value": "x"}],
        **more.pop("rows", {}),
    }
    told = {"policies": [["own.cedar", "…"]], "shards": [], "keys": ["audit.key"], "sequence": 7, "unreviewed": []}
    return {"rows": rows, **told, **more}


def judged(*workloads: Workload, person: pwd.struct_passwd = ADA, **more: Any) -> Moved:
    return judge(facts(*workloads, **more), Settings(), person, NOW)


def test_what_is_hers_stays_hers() -> None:
    found = judged(workload(purpose="prints", state=LifeState.SUSPENDED))
    [one] = found.workloads
    assert (one.owner, one.purpose, one.state) == ("ada", "prints", LifeState.SUSPENDED)
    assert found.people == (Human("ada", PSEUDONYM, ()),)
    assert found.meta == {"trust_domain": "maple.local"}
    assert found.said[0] == (
        "workload helper comes over, suspended and ada's: unix:uid:1001, unix:path:/usr/bin/helper"
    )
    assert (found.domain, found.sequence) == ("maple.local", 7)


def test_what_is_shown_of_it_moves_no_cursor() -> None:
    found = judged(workload(selectors=("unix:uid:1001", "unix:path:/tmp/x\x1b[2K\r\u202e")))
    assert all(line.isprintable() for line in found.said)


def test_whoever_had_her_account_there_is_she_here() -> None:
    rows = {"humans": [{"name": "alice", "person": PSEUDONYM, "uids": "[1001]"}]}
    found = judged(workload(owner="alice"), rows=rows)
    assert found.people == (Human("ada", PSEUDONYM, ()),)
    assert found.workloads[0].owner == "ada"


def test_a_registration_without_a_uid_is_of_her_own() -> None:
    [one] = judged(workload(selectors=("unix:path:/usr/bin/curl",))).workloads
    assert one.selectors == ("unix:uid:1001", "unix:path:/usr/bin/curl")


@pytest.mark.parametrize(
    "forged",
    [
        workload(selectors=("unix:uid:1002", "unix:path:/usr/bin/curl")),
        workload(selectors=("unix:uid:1001", "unix:uid:1002")),
        workload(owner="bob"),
        workload(owner="root"),
        workload(owner=""),
        workload(found="discovered", uid=1002, upstream="http://127.0.0.1:8080"),
        workload(found="discovered", owner="bob", uid=1001),
    ],
    ids=lambda one: f"{one.owner or 'nobody'} {one.found} {one.uid} {' '.join(one.selectors)}",
)
def test_what_is_of_somebody_else_stays_behind_and_is_said(forged: Workload) -> None:
    found = judged(workload("kept"), forged)
    assert [one.name for one in found.workloads] == ["kept"]
    assert any("workload helper stays behind" in line for line in found.said)
    assert "stays behind" not in "".join(judged(forged, person=ROOT).said)


def test_a_retired_one_keeps_its_name_whoever_had_it() -> None:
    gone = workload(owner="bob", state=LifeState.RETIRED)
    assert [one.name for one in judged(gone).workloads] == ["helper"]


@pytest.mark.parametrize("uid", [1001, 998, 0, None])
def test_a_server_of_hers_or_of_a_system_account_stays_hers(uid: int | None) -> None:
    assert judged(workload(found="discovered", uid=uid)).workloads


def test_tasks_and_sessions_that_go_on_are_ended_on_record() -> None:
    task = {"id": "t-1", "human": "ada", "ended": None, "expires": NOW + 60}
    over = [{**task, "id": "t-2", "expires": NOW - 1}, {**task, "id": "t-3", "ended": NOW - 9}]
    rows = {
        "tasks": [{"record": json.dumps(one)} for one in (task, *over)],
        "sessions": [{"record": {**task, "id": "s-1", "human": "nobody"}}],
    }
    ended = judged(rows=rows).ended
    assert [(one.what, one.id, one.person) for one in ended] == [
        ("task.ended", "t-1", PSEUDONYM),
        ("session.ended", "s-1", None),
    ]


def test_the_catalogue_and_the_profiles_come_with_the_policies() -> None:
    files = [["catalogue.toml", "x"], ["own.cedar", "y"], ["profiles/mine.toml", "z"]]
    assert [[one.name, one.text] for one in judged(policies=files).policies] == files


@pytest.mark.parametrize(
    "told",
    [
        {"unreviewed": ["bg-1"]},
        {"policies": [["x/../../../root/evil.cedar", "x"]]},
        {"policies": [["evil.sh", "x"]]},
        {"policies": [[".hidden.cedar", "x"]]},
        {"policies": [["profiles/x/../../../../root/evil.toml", "x"]]},
        {"policies": [["profiles/.hidden.toml", "x"]]},
        {"policies": [["profiles/evil.cedar", "x"]]},
        {"policies": [["catalogue.toml/x", "x"]]},
        {"shards": [["x/control.20200101T000000.000Z.log", 1]]},
        {"shards": [["control.20990101T000000.000Z.log", 1]]},
        {"shards": [["anything.log", 1]]},
        {"rows": {"humans": [{"name": "../x", "person": PSEUDONYM, "uids": "[]"}]}},
        {"rows": {"humans": [{"name": "eve", "person": "p-short", "uids": "[]"}]}},
        {"rows": {"humans": [{"name": "eve"}]}},
        {"rows": {"workloads": [{"record": "{}"}]}},
        {"rows": {"workloads": [{"record": "[" * 100_000}]}},
        {"rows": {"workloads": [{"record": json.dumps(workload().to_dict()).replace("maple", "other")}]}},
        {"rows": {"workloads": [{"record": json.dumps(replace(workload(), name="another").to_dict())}]}},
        {"rows": {"meta": []}},
    ],
    ids=lambda told: json.dumps(told)[:60],
)
def test_what_remit_did_not_write_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(RemitError):
        judged(**told)


def test_settings_come_over_but_for_who_is_who_and_what_proves_it() -> None:
    settings = Settings(
        environment="prod",
        people={"root": (1001,)},
        roles=RolesSettings(administrator=("ada",)),
        proof=ProofSettings(needs="uid", acts={"stop": "uid"}),
        gateway=GatewaySettings(port=8400, first_byte_seconds=12.5),
        authority=AuthoritySettings("/home/ada/ca/chain", "/home/ada/ca/key", "/home/ada/ca/roots"),
    )
    brought, text = system_text(settings)
    read = parse(text.encode(), "config")
    assert (read.environment, read.gateway) == ("prod", settings.gateway)
    assert (read.people, read.roles, read.proof) == ({}, RolesSettings(), ProofSettings())
    assert read.authority.key == "/var/lib/remit/keys/outside-ca/key.pem"
    assert [(one.path, one.name) for one in brought][1] == ("/home/ada/ca/key", "key.pem")
    said = judge(facts(), settings, ADA, NOW).said
    assert {line.split("`")[1] for line in said if "configuration" in line} == {"people", "roles", "proof"}


def test_odd_characters_in_settings_survive() -> None:
    settings = Settings(login=replace(Settings().login, issuer='https://é.example/"\\\x7f\n', client_id="😀"))
    assert parse(system_text(settings)[1].encode(), "config").login == settings.login


def test_an_opening_that_nobody_reviewed_is_named() -> None:
    with pytest.raises(StateError, match="bg-1"):
        judged(unreviewed=["bg-1"])
