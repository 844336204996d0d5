"""Under the starter policies tools are called within a task that lists them, by the arguments that it lists.

Sub-agents have less, and nobody has any of it once the task has ended.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.calling import Reply, bearer, curl
from tests.e2e.conftest import ME, Remit
from tests.e2e.servers import guarding
from tests.e2e.test_delegation import ACCESS_TOKEN, EXCHANGE

PORT = 33400
CATALOGUE = f"""
[tool."files/read_file"]
owner = "{ME}"
side_effects = false
[tool."git/log"]
owner = "{ME}"
side_effects = false
[tool."git/commit"]
owner = "{ME}"
[tool."web/fetch"]
owner = "{ME}"
side_effects = false
"""
MINE = {"path": "/home/ada/project/x.py"}


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    state = tmp_path_factory.mktemp("tools")
    with guarding(state, PORT, more=f'[decisions]\nsocket = "{state}/ask.sock"\n') as running:
        (state / "policies/catalogue.toml").write_text(CATALOGUE)
        running.event("policy")
        yield running


def start(remit: Remit, *said: str) -> tuple[str, str]:
    answer = json.loads(remit.run("task", "start", remit.ready["guarded"][0]["name"], "--json", *said).stdout)
    return answer["task"]["id"], answer["token"]


def call(remit: Remit, token: str, tool: str, **arguments: Any) -> Reply:
    """An agent's tool call, as whoever makes it asks first."""
    body = {
        "subject": {"type": "workload", "id": f"spiffe://{remit.ready['trust_domain']}/user/{ME}"},
        "action": {"name": "call_tool"},
        "resource": {"type": "tool", "id": tool},
        "context": {"arguments": arguments},
    }
    key = bearer(token) if token else ()
    place = ("--unix-socket", str(remit.state / "ask.sock"), "http://localhost/access/v1/evaluation")
    return curl(*key, "-H", "content-type: application/json", *place, "-d", json.dumps(body))


def may(remit: Remit, token: str, tool: str, **arguments: Any) -> bool:
    reply = call(remit, token, tool, **arguments)
    assert reply.status == 200, reply.body
    return bool(reply.json["decision"])


def part(token: str, **lists: Any) -> Reply:
    details = json.dumps([{"type": "remit_task", **lists}])
    fields = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN,
              "authorization_details": details}  # fmt: skip
    given = [word for name, value in fields.items() for word in ("--data-urlencode", f"{name}={value}")]
    return curl(f"http://127.0.0.1:{PORT - 1}/token", *given)


def test_without_a_task_no_tool_is_called(remit: Remit) -> None:
    assert not may(remit, "", "files/read_file", **MINE)
    _, token = start(remit, "--allow", "infer")
    assert not may(remit, token, "files/read_file", **MINE)


def test_within_one_by_the_arguments_that_its_profile_lists(remit: Remit) -> None:
    _, token = start(remit, "--profile", "coding")
    assert may(remit, token, "files/read_file", **MINE)
    assert may(remit, token, "git/log")
    for path in (
        "/etc/shadow",
        "/home/../etc/shadow",
        "/home/ada/%2e%2e/x",
        "etc/shadow",
        "~root/x",
        ["/home/a", "/etc"],
    ):
        assert not may(remit, token, "files/read_file", path=path), path
    assert not may(remit, token, "files/read_file")
    assert not may(remit, token, "web/fetch", url="https://arxiv.org/abs/1")
    commit = call(remit, token, "git/commit", repo_path="/home/ada/project", message="wip").json
    assert (commit["decision"], commit["context"]["approval"]["needed"]) == (False, "owner")


def test_less_than_its_profile_is_less(remit: Remit) -> None:
    only = 'files/read_file arguments.path = {beneath = ["/home/ada"]}'
    _, token = start(remit, "--profile", "coding", "--tool", only)
    assert may(remit, token, "files/read_file", **MINE)
    assert not may(remit, token, "files/read_file", path="/home/bob/x.py")
    assert not may(remit, token, "git/log")


def test_a_sub_agent_has_less_and_all_of_it_ends_with_the_task(remit: Remit) -> None:
    task, token = start(remit, "--profile", "coding")
    handed = part(token, tools=["git/log"], budget={"calls": 3})
    assert handed.status == 200, handed.body
    its = handed.json["access_token"]
    assert may(remit, its, "git/log")
    assert not may(remit, its, "files/read_file", **MINE)
    for more in ({"tools": ["web/fetch"]}, {"budget": {"calls": 9_999}}):
        assert part(its, **more).json["error"] == "invalid_authorization_details"
    remit.run("task", "end", task)
    for ended in (its, token):
        assert call(remit, ended, "git/log").status == 401
    assert part(token).json["error"] == "invalid_grant"
