"""The real llama.cpp server with the real model, through the real clients."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.e2e.conftest import Remit

KEY = "AKIA" + "Z7Q4M2XPLW5TJ6RC"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def client(guarded: dict[str, Any]) -> openai.OpenAI:
    return openai.OpenAI(base_url=guarded["base_url"], api_key="unused", max_retries=0, timeout=60)


def curl(*arguments: str) -> tuple[int, dict[str, str], bytes]:
    """Run the real curl; status, headers, body."""
    done = subprocess.run(["curl", "-s", "-i", "-m", "60", *arguments], capture_output=True, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def test_ready_says_everything(ready: dict[str, Any], guarded: dict[str, Any]) -> None:
    assert guarded["spiffe_id"].startswith("spiffe://")
    assert guarded["kind"] == "model_server"
    assert guarded["grade"] == "C"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", guarded["base_url"])
    assert guarded["upstream"].startswith("unix:")
    assert guarded["models"][0]["name"]
    assert Path(ready["audit"]["dir"]).is_dir()
    assert Path(ready["audit"]["public_key"]).is_file()
    assert Path(ready["workload_api"]).is_socket()


def test_the_model_s_digest_is_its_file_s(remit: Remit, guarded: dict[str, Any]) -> None:
    digest, deadline = "", time.monotonic() + 20
    while not digest.startswith("sha256:") and time.monotonic() < deadline:
        status = json.loads(remit.run("status", "--json").stdout)
        digest = status["guarded"][0]["models"][0]["digest"]
    assert digest.startswith("sha256:")


def test_openai_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="x", messages=HELLO, max_tokens=12)
    assert answer.choices[0].message.content


def test_openai_chat_streams(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="x", messages=HELLO, max_tokens=12, stream=True)
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 3


def test_openai_completions_models_and_responses(client: openai.OpenAI) -> None:
    assert client.completions.create(model="x", prompt="One two", max_tokens=4).choices[0].text
    assert [model.id for model in client.models.list()]
    assert client.responses.create(model="x", input="Say hello.", max_output_tokens=8).output_text


def test_anthropic_messages(guarded: dict[str, Any]) -> None:
    client = anthropic.Anthropic(
        base_url=guarded["base_url"].removesuffix("/v1"), api_key="unused", max_retries=0, timeout=60
    )
    answer = client.messages.create(model="x", max_tokens=8, messages=[{"role": "user", "content": "Say hello."}])
    assert answer.content[0].type == "text"
    with client.messages.stream(model="x", max_tokens=8, messages=[{"role": "user", "content": "Hi."}]) as stream:
        assert "".join(stream.text_stream)


def test_a_refusal_names_the_rule_and_the_way(remit: Remit, guarded: dict[str, Any]) -> None:
    status, headers, body = curl(guarded["url"] + "/props")
    assert status == 403
    error = json.loads(body)["error"]
    assert error["type"] == "refused"
    assert "disclose" in error["message"]
    assert "remit" not in error["hint"], "a caller is never shown a command that widens its own remit"
    explained = remit.run("explain", error["decision"]).stdout
    assert "refused" in explained
    assert "disclose" in explained
    assert "would be allowed if" in explained
    assert headers["remit-decision"] == error["decision"]
    assert "advisory" in headers["remit-grade"].lower()


def test_a_task_allows_it_and_its_end_refuses_again(remit: Remit, guarded: dict[str, Any]) -> None:
    started = json.loads(
        remit.run("task", "start", guarded["name"], "--allow", "disclose", "--for", "5m", "--json").stdout
    )
    bearer = ("-H", f"Authorization: Bearer {started['token']}")
    assert curl(*bearer, guarded["url"] + "/props")[0] == 200
    # A task only narrows: what it doesn't name is outside it, even what its human may do without it.
    status, _, body = curl(*bearer, guarded["base_url"] + "/models")
    assert status == 403
    assert json.loads(body)["error"]["code"] == "outside-task"
    assert started["task"]["id"] in remit.run("task", "list").stdout
    remit.run("task", "end", started["task"]["id"])
    assert curl(*bearer, guarded["url"] + "/props")[0] in {401, 403}


def test_an_unknown_route_is_refused(guarded: dict[str, Any]) -> None:
    for target in (
        "/nowhere",
        "/v1/nowhere",
        "/v1//models",
        "/v1/../props",
        "/%2e%2e/props",
        "/v1/chat/completions/x",
    ):
        status, _, body = curl("--path-as-is", guarded["url"] + target)
        assert status in {400, 403, 404}, (target, body)


def test_a_secret_in_the_prompt_never_reaches_the_model(
    remit: Remit, client: openai.OpenAI, guarded: dict[str, Any]
) -> None:
    body = {"messages": [{"role": "user", "content": f"my key is {KEY} ok"}], "max_tokens": 2}
    task = json.loads(remit.run("task", "start", guarded["name"], "--allow", "infer,disclose", "--json").stdout)
    bearer = ("-H", f"Authorization: Bearer {task['token']}")
    status, headers, _ = curl(*bearer, guarded["base_url"] + "/chat/completions", "-d", json.dumps(body))
    assert status == 200
    shown = remit.run("audit", "show", headers["remit-decision"], "--json").stdout
    assert '"masked":{"aws-access-key-id":1}' in shown
    assert KEY not in shown


def test_json_that_two_parsers_could_read_differently_is_refused(guarded: dict[str, Any]) -> None:
    for body in (
        '{"messages":[],"messages":[]}',
        '{"temperature":NaN}',
        "[" * 2000,
        '{"a":"\\ud800"}',
        "not json",
        '{"messages":[{"role":"user","content":"x"}],"api_base":"http://evil"}',
    ):
        assert curl(guarded["base_url"] + "/chat/completions", "-d", body)[0] == 400, body


def test_smuggling_headers_and_browser_pages_are_refused(guarded: dict[str, Any]) -> None:
    url = guarded["base_url"] + "/models"
    assert curl(url)[0] == 200
    assert curl("-H", "X-Forwarded-Host: evil", url)[0] == 400
    assert curl("-H", "Origin: http://evil.example", url)[0] == 403
    assert curl("-H", "Host: evil.example", url)[0] in {400, 403, 421}


def test_the_log_verifies_and_tampering_shows(remit: Remit, ready: dict[str, Any], tmp_path: Path) -> None:
    assert "ok" in remit.run("audit", "verify").stdout
    copy = tmp_path / "audit"
    subprocess.run(["cp", "-r", ready["audit"]["dir"], str(copy)], check=True)
    victim = max(copy.glob("inference-0*"), key=lambda path: path.stat().st_size)
    raw = victim.read_bytes()
    at = raw.index(b'"action"')
    victim.write_bytes(raw[: at + 1] + b"X" + raw[at + 2 :])
    done = remit.run("audit", "verify", "--dir", str(copy), "--key", ready["audit"]["public_key"], check=False)
    assert done.returncode == 3
    assert victim.name.split(".")[0] in done.stdout + done.stderr


def test_whois_answers_for_ports_processes_and_ids(remit: Remit, guarded: dict[str, Any]) -> None:
    port = guarded["base_url"].split(":")[2].split("/")[0]
    for what in (f":{port}", guarded["spiffe_id"]):
        answer = json.loads(remit.run("whois", what, "--json").stdout)
        assert answer["spiffe_id"] == guarded["spiffe_id"]
        assert answer["may"]
    text = remit.run("whois", f":{port}").stdout
    assert guarded["name"] in text
    assert "ADVISORY" in text.upper()


def test_a_second_up_says_where_the_first_runs(remit: Remit, guarded: dict[str, Any]) -> None:
    second = Remit(remit.state)
    error = second.event("error")
    assert "already runs" in error["message"]
    assert guarded["base_url"] in error["message"] + error["hint"]
    assert second.process.wait(10) == 1
    second.stop()
