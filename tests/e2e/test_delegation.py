"""Authority handed on, on the running program: from a person to an agent to its sub-agent, only ever narrowing.

On a shared workstation: two people of two uids run the same agent at once. What acts is curl, an agent to Remit.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from joserfc import jwk, jwt

from tests.e2e.calling import CHAT, Reply, bearer, chat, curl
from tests.e2e.conftest import Remit
from tests.e2e.servers import fake, guarding, start_task
from tests.e2e.test_servers_come_and_go import within
from tests.e2e.test_tasks import PIECE_SECONDS, streaming

PORT = 29800
TOKENS = f"http://127.0.0.1:{PORT - 1}"
CURL = os.path.realpath(shutil.which("curl") or "/usr/bin/curl")
UIDS = {"ada": 51001, "bob": 51002}
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"

LEND = """
@id("lend")
@reason("the owner lends it for a declared job")
permit (principal, action, resource)
when { context has task && context.task.on == resource };
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes of two uids")


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    place = tmp_path_factory.mktemp("delegation")
    people = "".join(f"{name} = [{uid}]\n" for name, uid in UIDS.items())
    with (
        fake("vllm", place, "--delay", str(PIECE_SECONDS)) as server,
        guarding(place / "state", PORT, server.address, more=f"[people]\n{people}") as remit,
    ):
        (place / "state/policies/lend.cedar").write_text(LEND)
        within(5, lambda: "lend.cedar" in json.loads(remit.run("status", "--json").stdout)["policies"]["files"])
        for name, uid in UIDS.items():
            for agent in (f"{name}-agent", f"{name}-helper"):
                register(remit, agent, name, uid if agent.endswith("agent") else uid + 10)
        yield remit


@pytest.fixture
def server(remit: Remit) -> dict[str, Any]:
    guarded: dict[str, Any] = remit.ready["guarded"][0]
    return guarded


def register(remit: Remit, name: str, owner: str, uid: int) -> None:
    told = ("--kind", "agent", "--owner", owner, "--selector", f"unix:uid:{uid}", "--selector", f"unix:path:{CURL}")
    remit.run("workload", "add", name, *told)


def as_uid(uid: int) -> dict[str, Any]:
    """subprocess arguments for a process of this uid that has nothing of ours."""
    return {"user": uid, "group": uid, "extra_groups": [], "cwd": "/", "env": {"PATH": os.environ["PATH"]}}


def agent(name: str) -> dict[str, Any]:
    return as_uid(UIDS[name])


def helper(name: str) -> dict[str, Any]:
    return as_uid(UIDS[name] + 10)


def exchange(subject: str, process: dict[str, Any], kind: str = ACCESS_TOKEN, **more: str) -> Reply:
    fields = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": kind, **more}
    given = [part for name, value in fields.items() for part in ("--data-urlencode", f"{name}={value}")]
    return curl(f"{TOKENS}/token", *given, **process)


def task_for(remit: Remit, server: dict[str, Any], human: str, allow: str = "infer,list") -> tuple[str, str]:
    told = remit.run("task", "start", server["name"], "--allow", allow, "--human", human, "--json").stdout
    answer = json.loads(told)
    return answer["task"]["id"], answer["token"]


def call(server: dict[str, Any], token: str, process: dict[str, Any], prompt: str = "hello") -> Reply:
    return curl(*bearer(token), server["url"] + CHAT, *chat(prompt), **process)


def records(remit: Remit) -> list[dict[str, Any]]:
    lines = remit.run("audit", "tail", "-n", "2000", "--json").stdout.splitlines()
    return [json.loads(line)["record"] for line in lines]


def start_of(remit: Remit, reply: Reply) -> dict[str, Any]:
    [start] = [
        row for row in records(remit) if row["kind"] == "start" and row["id"] == reply.headers["remit-decision"]
    ]
    return start


def workload(remit: Remit, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(remit.run("workload", "show", name, "--json").stdout)
    return answer


def test_two_people_run_the_same_agent_at_once_and_every_record_says_who_acted(
    remit: Remit, server: dict[str, Any]
) -> None:
    names = json.loads(remit.run("status", "--json").stdout)
    assert {one["name"] for one in names["registered"]} >= {"ada-agent", "bob-agent"}
    tasks = {name: task_for(remit, server, name) for name in UIDS}
    handed = {name: exchange(token, agent(name)).json["access_token"] for name, (_, token) in tasks.items()}
    further = {
        name: exchange(token, helper(name), scope="infer").json["access_token"] for name, token in handed.items()
    }
    with ThreadPoolExecutor(4) as pool:
        calls = {name: pool.submit(call, server, further[name], helper(name)) for name in UIDS}
        own = {name: pool.submit(call, server, handed[name], agent(name)) for name in UIDS}
        replies = {name: reply.result() for name, reply in calls.items()}
        own_replies = {name: reply.result() for name, reply in own.items()}
    persons = {}
    for name, uid in UIDS.items():
        ids = [workload(remit, f"{name}-{kind}")["spiffe_id"] for kind in ("agent", "helper")]
        assert (replies[name].status, own_replies[name].status) == (200, 200)
        start, before = start_of(remit, replies[name]), start_of(remit, own_replies[name])
        assert (start["workload"], start["chain"], start["process"]["uid"]) == (ids[1], ids, uid + 10)
        assert (before["workload"], before["chain"], before["process"]["uid"]) == (ids[0], ids[:1], uid)
        assert start["person"] == before["person"]
        assert len({start["task"], before["task"], tasks[name][0]}) == 3
        acts = [row for row in records(remit) if row["kind"] == "act" and row["subject"] == start["task"]]
        [act] = [row for row in acts if row["what"] == "task.handed_on"]
        assert act["person"] == start["person"]
        assert (act["facts"]["parent"], act["facts"]["chain"]) == (before["task"], ids)
        persons[name] = start["person"]
        assert f"handed on    {name}-agent → {name}-helper" in remit.run("explain", start["id"]).stdout
    assert persons["ada"] != persons["bob"]


def test_a_token_holds_in_its_own_hands_only(remit: Remit, server: dict[str, Any]) -> None:
    _, token = task_for(remit, server, "ada")
    handed = exchange(token, agent("ada")).json["access_token"]
    assert call(server, handed, agent("ada")).status == 200
    for other in (helper("ada"), agent("bob"), {}):
        assert call(server, handed, other).status == 401
    assert exchange(token, agent("bob")).json["error"] == "invalid_grant"
    assert exchange(handed, agent("bob")).json["error"] == "invalid_grant"


def test_widening_loops_and_what_is_stale_are_refused_and_on_record(remit: Remit, server: dict[str, Any]) -> None:
    _, token = task_for(remit, server, "ada", "infer,list")
    handed = exchange(token, agent("ada"), scope="infer").json
    assert handed["scope"] == "infer"
    further = exchange(handed["access_token"], helper("ada")).json["access_token"]
    for code, subject, who, more in (
        ("invalid_scope", handed["access_token"], helper("ada"), {"scope": "infer list"}),
        ("invalid_target", handed["access_token"], helper("ada"), {"resource": "spiffe://elsewhere/x"}),
        ("invalid_grant", further, agent("ada"), {}),
        ("invalid_grant", "remit_task_" + "0" * 43, agent("ada"), {}),
        ("invalid_grant", further[:-8] + "AAAAAAAA", helper("ada"), {}),
        ("invalid_grant", further, helper("ada"), {"actor_token": "x.y.z", "actor_token_type": JWT}),
        ("invalid_request", further, helper("ada"), {"actor_token": "x.y.z"}),
        ("invalid_request", "", helper("ada"), {}),
        ("invalid_authorization_details", further, helper("ada"), {"authorization_details": '[{"type":"other"}]'}),
        (
            "invalid_authorization_details",
            further,
            helper("ada"),
            {"authorization_details": '[{"type":"remit_task","seconds":99999}]'},
        ),
    ):
        refused = exchange(subject, who, **more)
        assert (refused.status, refused.json["error"]) == (400, code), (code, refused.body)
    refusals = [row for row in records(remit) if row["kind"] == "act" and row["what"] == "token.refused"]
    assert {row["facts"]["error"] for row in refusals} >= {"invalid_scope", "invalid_target", "invalid_grant"}
    assert all(row["person"] for row in refusals)
    assert call(server, further, helper("ada")).status == 200
    listing = curl(*bearer(further), server["base_url"] + "/models", **helper("ada"))
    assert (listing.status, listing.code) == (403, "outside-task")


def test_what_is_cut_ends_with_what_it_was_cut_from_also_its_streams(remit: Remit, server: dict[str, Any]) -> None:
    task, token = start_task(remit, server["name"], "infer")
    part = exchange(token, {}, scope="infer").json["access_token"]
    with streaming(server, part) as stream:
        remit.run("task", "end", task)
        told = time.monotonic()
        stream.wait()
        assert not stream.whole
        assert stream.ended - told < 1
    assert call(server, part, {}).status == 401
    assert exchange(part, {}).json["error"] == "invalid_grant"


def test_who_holds_it_may_take_it_back_and_nobody_else(remit: Remit, server: dict[str, Any]) -> None:
    _, token = task_for(remit, server, "ada")
    handed = exchange(token, agent("ada")).json["access_token"]
    further = exchange(handed, helper("ada")).json["access_token"]

    def revoke(what: str, who: dict[str, Any]) -> Reply:
        return curl(f"{TOKENS}/revoke", "--data-urlencode", f"token={what}", **who)

    assert revoke(handed, agent("bob")).json["error"] == "unauthorized_client"
    assert revoke(handed, helper("ada")).json["error"] == "unauthorized_client", "it never had this one"
    assert call(server, further, helper("ada")).status == 200
    assert revoke(handed, agent("ada")).status == 200
    assert call(server, further, helper("ada")).status == 401
    assert call(server, handed, agent("ada")).status == 401
    assert call(server, token, agent("ada")).status == 200, "what it was cut from lives on"
    for again in (handed, "remit_task_nothing", "a.b.c"):
        assert revoke(again, agent("ada")).status == 200, "RFC 7009 2.2: not known is none already"


def test_a_suspended_hand_ends_what_passed_through_it(remit: Remit, server: dict[str, Any]) -> None:
    _, token = task_for(remit, server, "bob")
    further = exchange(exchange(token, agent("bob")).json["access_token"], helper("bob")).json["access_token"]
    assert call(server, further, helper("bob")).status == 200
    remit.run("workload", "suspend", "bob-agent")
    try:
        assert call(server, further, helper("bob")).status == 401
    finally:
        remit.run("workload", "resume", "bob-agent")
    assert call(server, further, helper("bob")).status == 401, "nothing that was revoked comes back"


def test_a_person_s_session_is_handed_on_by_them_and_ends_with_logout(remit: Remit, server: dict[str, Any]) -> None:
    session = json.loads(remit.run("login", "--for", "5m", "--json").stdout)
    token = session["token"]
    assert token.startswith("remit_session_")
    assert call(server, token, {}).status == 200, "no task of ours: ignored, as any other key"
    named = {"resource": server["spiffe_id"], "scope": "infer"}
    assert exchange(token, {}, scope="infer").json["error"] == "invalid_target"
    assert exchange(token, {}, resource=server["spiffe_id"]).json["error"] == "invalid_scope"
    assert exchange(token, agent("ada"), **named).json["error"] == "invalid_grant", "another person's"
    part = exchange(token, {}, **named).json["access_token"]
    assert call(server, part, {}).status == 200
    [shown] = json.loads(remit.run("status", "--json").stdout)["sessions"]
    assert shown["id"] == session["session"]["id"]
    assert "token_sha256" not in shown
    remit.run("logout")
    assert call(server, part, {}).status == 401
    assert exchange(token, {}, **named).json["error"] == "invalid_grant"


def test_a_stock_reader_of_access_tokens_takes_it(remit: Remit, server: dict[str, Any]) -> None:
    metadata = curl(f"{TOKENS}/.well-known/oauth-authorization-server").json
    keys = jwk.KeySet.import_key_set(curl(metadata["jwks_uri"]).json)
    assert metadata["issuer"] == TOKENS
    _, token = task_for(remit, server, "ada")
    answer = exchange(exchange(token, agent("ada")).json["access_token"], helper("ada")).json
    assert (answer["token_type"], answer["issued_token_type"]) == ("Bearer", ACCESS_TOKEN)
    read = jwt.decode(answer["access_token"], keys, algorithms=["ES256"])
    assert read.header["typ"] == "at+jwt"
    claims = read.claims
    first, second = (workload(remit, f"ada-{kind}")["spiffe_id"] for kind in ("agent", "helper"))
    domain = remit.ready["trust_domain"]
    assert claims["act"] == {"sub": second, "act": {"sub": first}}
    assert (claims["sub"], claims["aud"], claims["client_id"]) == (
        f"spiffe://{domain}/user/ada",
        server["spiffe_id"],
        second,
    )
    assert claims["exp"] - claims["iat"] == answer["expires_in"] <= 3600
    assert claims["scope"] == answer["scope"] == "infer list"


def test_pages_strangers_and_nonsense_get_nothing(remit: Remit, server: dict[str, Any]) -> None:
    _, token = task_for(remit, server, "ada")
    assert exchange(token, as_uid(59999)).status == 401
    form = ("-d", f"grant_type={EXCHANGE}&subject_token={token}&subject_token_type={ACCESS_TOKEN}")
    for more in (("-H", "Origin: http://evil.example"), ("-H", "Host: evil.example")):
        assert curl(f"{TOKENS}/token", *form, *more, **agent("ada")).json["error"] == "invalid_client"
    for body in ("grant_type=password", "x", "a=b&a=c", f"grant_type={EXCHANGE}", "a=" + "b" * 70_000, "%ff=%ff"):
        refused = curl(f"{TOKENS}/token", "-d", body, **agent("ada"))
        assert (refused.status, refused.json["error"]) in {
            (400, "invalid_request"),
            (400, "unsupported_grant_type"),
        }, body[:40]
    assert curl(f"{TOKENS}/token", "-H", "content-type: application/json", "-d", "{}", **agent("ada")).status == 400
    for nothing, status in (("/authorize", 404), ("/token", 405)):
        told = curl(f"{TOKENS}{nothing}")
        assert (told.status, told.json["error"]) == (status, "invalid_request")
        assert ".well-known/oauth-authorization-server" in told.json["error_description"]
