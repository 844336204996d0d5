"""Ollama, vLLM and LM Studio (as their published interfaces have them) guarded at once, through the real clients."""

import json
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest

from tests.e2e.calling import CHAT, bearer, chat, curl
from tests.e2e.conftest import Remit
from tests.e2e.servers import Recorded, guarded_fakes, start_task
from tests.fakes.model_server import BACKWARDS

KINDS = ("ollama", "vllm", "lmstudio")
MODELS = {"ollama": "tiny:latest", "vllm": "org/tiny", "lmstudio": "tiny-instruct"}
KEY = "AKIA" + "Z7Q4M2XPLW5TJ6RC"
SAY_KEY = BACKWARDS + f"key {KEY} end"[::-1]  # the key is in no prompt: the model makes it up

World = tuple[Remit, dict[str, Recorded]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with guarded_fakes(tmp_path_factory.mktemp("three"), 29600, *KINDS) as (remit, fakes):
        yield remit, fakes


@pytest.fixture
def servers(world: World) -> dict[str, dict[str, Any]]:
    return {one["server"]: one for one in world[0].ready["guarded"]}


def client(server: dict[str, Any]) -> openai.OpenAI:
    return openai.OpenAI(base_url=server["base_url"], api_key="unused", max_retries=0, timeout=30)


def native(server: dict[str, Any], token: str = "") -> ollama.Client:
    headers = {"authorization": f"Bearer {token}"} if token else None
    return ollama.Client(host=server["url"], headers=headers, timeout=30)


def test_each_is_known_for_what_it_is(world: World, servers: dict[str, dict[str, Any]]) -> None:
    assert sorted(servers) == sorted(KINDS)
    for kind, one in servers.items():
        assert one["pid"] == world[1][kind].pid
        assert one["upstream"] == world[1][kind].address
        assert [model["name"] for model in one["models"]] == [MODELS[kind]]
    assert servers["ollama"]["models"][0]["digest"] == "unknown", "what a server says of its digest is its word"
    assert len({one["url"] for one in servers.values()}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_openai_s_client_chats_streams_embeds_and_lists(servers: dict[str, dict[str, Any]], kind: str) -> None:
    with client(servers[kind]) as calls:
        answer = calls.chat.completions.create(model=MODELS[kind], messages=[{"role": "user", "content": "hello"}])
        assert answer.choices[0].message.content == "you said: hello"
        assert answer.usage is not None
        details = answer.usage.prompt_tokens_details
        assert details is None or not details.cached_tokens
        stream = calls.chat.completions.create(
            model=MODELS[kind], messages=[{"role": "user", "content": "a longer hello"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert "".join(pieces) == "you said: a longer hello"
        assert len(pieces) > 3
        assert calls.completions.create(model=MODELS[kind], prompt="one").choices[0].text == "you said: one"
        rows = calls.embeddings.create(model=MODELS[kind], input=["a", "b"], encoding_format="float").data
        assert [row.embedding for row in rows] == [[0.5, 0.25]] * 2
        assert [model.id for model in calls.models.list()] == [MODELS[kind]]


def test_ollama_s_client_chats_streams_embeds_and_lists(servers: dict[str, dict[str, Any]]) -> None:
    model = MODELS["ollama"]
    with native(servers["ollama"]) as calls:
        said = calls.chat(model, [{"role": "user", "content": "hello"}])
        assert said.message.content == "you said: hello"
        stream = calls.chat(model, [{"role": "user", "content": "a longer hello"}], stream=True)
        assert "".join(part.message.content or "" for part in stream) == "you said: a longer hello"
        assert calls.generate(model, "hello").response == "you said: hello"
        assert "".join(part.response for part in calls.generate(model, "hello", stream=True)) == "you said: hello"
        assert list(calls.embed(model, ["a", "b"]).embeddings) == [[0.5, 0.25]] * 2
        assert model in {one.model for one in calls.list().models}
        assert model in {one.model for one in calls.ps().models}
        assert "/root/" not in (calls.show(model).modelfile or "")


def test_ollama_is_administered_within_a_task_and_not_without(
    world: World, servers: dict[str, dict[str, Any]]
) -> None:
    remit, fakes = world
    server = servers["ollama"]

    def attempts(calls: ollama.Client) -> list[Any]:
        return [
            lambda: calls.pull("new:latest"),
            lambda: list(calls.pull("streamed:latest", stream=True)),
            lambda: calls.create("made:latest", from_="tiny:latest"),
            lambda: calls.copy("tiny:latest", "copied:latest"),
            lambda: calls.delete("copied:latest"),
        ]

    seen = len(fakes["ollama"].requests)
    with native(server) as calls:
        for attempt in attempts(calls):
            with pytest.raises(ollama.ResponseError) as refused:
                attempt()
            assert refused.value.status_code == 403
            assert "administer" in str(refused.value)
            assert "remit " not in str(refused.value)
    assert len(fakes["ollama"].requests) == seen
    task, token = start_task(remit, server["name"], "administer,list")
    with native(server, token) as calls:
        for attempt in attempts(calls):
            attempt()
        names = {one.model for one in calls.list().models}
        assert {"new:latest", "streamed:latest", "made:latest"} <= names
        assert "copied:latest" not in names
        remit.run("task", "end", task)
        with pytest.raises(ollama.ResponseError) as refused:
            calls.delete("new:latest")
    assert refused.value.status_code == 401
    assert fakes["ollama"].paths()[-1] == "GET /api/tags"


def test_what_is_unsafe_is_refused_also_within_a_task(world: World, servers: dict[str, dict[str, Any]]) -> None:
    remit, fakes = world
    server = servers["vllm"]
    _, token = start_task(remit, server["name"], "infer,embed,list,health,administer,disclose")
    seen = len(fakes["vllm"].requests)
    for path in ("/invocations", "/collective_rpc", "/v1/load_lora_adapter", "/server_info", "/nowhere"):
        for caller in ((), bearer(token)):
            reply = curl(*caller, server["url"] + path, "-d", '{"messages": [], "model": "x"}')
            assert reply.status in {403, 404, 405}, (path, reply)
    assert len(fakes["vllm"].requests) == seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_in_the_prompt_never_arrives(world: World, servers: dict[str, dict[str, Any]], kind: str) -> None:
    with client(servers[kind]) as calls:
        answer = calls.chat.completions.create(
            model=MODELS[kind], messages=[{"role": "user", "content": f"key {KEY} end"}]
        )
    said = answer.choices[0].message.content
    assert said is not None
    assert said.startswith("you said: key ")
    assert said.endswith(" end")
    assert KEY not in said
    arrived = world[1][kind].requests[-1]
    assert "key " in arrived["body"]
    assert KEY not in json.dumps(world[1][kind].requests)


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_cut_across_chunks_is_masked_in_what_the_client_puts_together(
    world: World, servers: dict[str, dict[str, Any]], kind: str
) -> None:
    with client(servers[kind]) as calls:
        model = MODELS[kind]
        messages: Any = [{"role": "user", "content": SAY_KEY}]
        stream = calls.chat.completions.create(model=model, messages=messages, stream=True)
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        whole = calls.chat.completions.create(model=model, messages=messages)
    assert SAY_KEY in world[1][kind].requests[-1]["body"], "the prompt itself was left as it is"
    for said in ("".join(pieces), whole.choices[0].message.content or ""):
        assert said.startswith("key ")
        assert said.endswith(" end")
        assert not any(KEY[at : at + 6] in said for at in range(len(KEY) - 5)), said


def test_the_same_on_ollama_s_own_stream(servers: dict[str, dict[str, Any]]) -> None:
    with native(servers["ollama"]) as calls:
        said = "".join(part.response for part in calls.generate(MODELS["ollama"], SAY_KEY, stream=True))
        parts = list(calls.generate(MODELS["ollama"], "hello", stream=True))
        masked = list(calls.generate(MODELS["ollama"], SAY_KEY, stream=True))
    assert said.startswith("key ")
    assert said.endswith(" end")
    assert KEY[4:] not in said
    assert parts[-1].context == [1, 2, 3]
    assert masked[-1].context is None, "token ids would spell it out"


def test_a_masked_prompt_comes_back_masked_on_ollama_s_own_stream(servers: dict[str, dict[str, Any]]) -> None:
    with native(servers["ollama"]) as calls:
        said = "".join(part.response for part in calls.generate(MODELS["ollama"], f"key {KEY} end", stream=True))
    assert said.startswith("you said: key ")
    assert said.endswith(" end")
    assert KEY not in said


@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_go_where_something_was_masked(servers: dict[str, dict[str, Any]], kind: str) -> None:
    clean = curl(servers[kind]["url"] + CHAT, *chat("nothing here", logprobs=True))
    spelled = "".join(row["token"] for row in clean.json["choices"][0]["logprobs"]["content"])
    assert spelled == "you said: nothing here"
    masked = curl(servers[kind]["url"] + CHAT, *chat(SAY_KEY, logprobs=True))
    assert masked.status == 200
    assert masked.json["choices"][0]["logprobs"] is None
    streamed = curl("-N", servers[kind]["url"] + CHAT, *chat(SAY_KEY, logprobs=True, stream=True))
    events = [json.loads(line[6:]) for line in streamed.body.decode().splitlines() if line.startswith("data: {")]
    choices = [event["choices"][0] for event in events if event["choices"]]
    tokens = [row["token"] for one in choices if one.get("logprobs") for row in one["logprobs"]["content"]]
    text = "".join(one["delta"].get("content") or "" for one in choices)
    assert (text[:4], text[-4:]) == ("key ", " end")
    assert not any(KEY[at : at + 6] in text + "".join(tokens) for at in range(len(KEY) - 5)), tokens


def test_the_log_has_every_call_and_none_of_the_secrets(world: World) -> None:
    remit = world[0]
    exported = remit.run("audit", "export").stdout
    for kind in KINDS:
        assert f"/inference/{kind}-" in exported
    assert KEY not in exported
    assert "a longer hello" not in exported
    assert "ok" in remit.run("audit", "verify").stdout
