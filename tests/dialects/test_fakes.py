"""The fake servers answer real clients as the real servers do, and what they stream passes through the dialects."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import pytest

from remit.gateway import routes
from remit.gateway.dialects import DIALECTS
from tests.dialects.cleaner import MASK, FakeCleaner, run
from tests.fakes.fake_lmstudio import FakeLmStudio
from tests.fakes.fake_ollama import FakeOllama
from tests.fakes.fake_vllm import FakeVllm
from tests.fakes.model_server import FakeModelServer

ROOT = Path(__file__).parents[2]
SECRET = "ghp_7Qx2secretsecretsecret"


def post(server: FakeModelServer, path: str, body: dict[str, Any]) -> bytes:
    request = urllib.request.Request(
        server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        read: bytes = answer.read()
    return read


def test_the_ollama_client_talks_to_the_fake() -> None:
    with FakeOllama() as server, ollama.Client(host=server.url) as client:
        assert [row.model for row in client.list().models] == ["tiny:latest"]
        assert client.generate("tiny:latest", "hi").response == "you said: hi"
        said = client.chat("tiny:latest", [{"role": "user", "content": "hi"}], stream=True)
        assert "".join(part.message.content or "" for part in said) == "you said: hi"
        assert client.embed("tiny:latest", "hi").embeddings == [[0.5, 0.25]]
        client.pull("small")
        client.delete("small")
        with pytest.raises(ollama.ResponseError, match="not found"):
            client.show("small")
    assert server.requests[1].json["prompt"] == "hi"


@pytest.mark.parametrize("make", [FakeOllama, FakeVllm, FakeLmStudio])
def test_the_openai_client_talks_to_the_fakes(make: Callable[[], FakeModelServer]) -> None:
    with make() as server, openai.OpenAI(base_url=server.url + "/v1", api_key="none") as client:
        model = next(iter(client.models.list())).id
        messages: Any = [{"role": "user", "content": "hi"}]
        assert (
            client.chat.completions.create(model=model, messages=messages).choices[0].message.content
            == "you said: hi"
        )
        stream = client.chat.completions.create(
            model=model, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert said == "you said: hi"
        assert chunks[-1].usage is not None
        assert client.embeddings.create(model=model, input="a", encoding_format="float").data[0].embedding == [
            0.5,
            0.25,
        ]


def test_the_anthropic_client_talks_to_the_fake() -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    with (
        FakeVllm() as server,
        anthropic.Anthropic(base_url=server.url, api_key="none") as client,
        client.messages.stream(model="org/tiny", max_tokens=9, messages=messages) as stream,
    ):
        assert "".join(stream.text_stream) == "you said: hi"


CALLS = [
    (FakeOllama, "ollama", "/api/chat", {"model": "tiny:latest", "messages": [{"role": "user", "content": SECRET}]}),
    (FakeOllama, "ollama", "/api/generate", {"model": "tiny:latest", "prompt": SECRET}),
    (FakeVllm, "vllm", "/v1/chat/completions", {"messages": [{"role": "user", "content": SECRET}], "stream": True}),
    (FakeVllm, "vllm", "/v1/completions", {"prompt": SECRET, "stream": True}),
    (FakeVllm, "vllm", "/v1/messages", {"messages": [{"role": "user", "content": SECRET}], "stream": True}),
    (FakeLmStudio, "lmstudio", "/api/v1/chat", {"input": SECRET, "stream": True}),
]


@pytest.mark.parametrize(("make", "kind", "path", "body"), CALLS)
def test_a_secret_in_a_fakes_stream_does_not_pass(
    make: Callable[..., FakeModelServer], kind: str, path: str, body: dict[str, Any]
) -> None:
    with make(piece=3) as server:
        stream = post(server, path, body)
    route = routes.match(routes.profile(kind), "POST", path)
    out = run(DIALECTS[route.dialect].events(route), stream, FakeCleaner(SECRET)).decode()
    assert "secret" not in out
    assert MASK in out


@pytest.mark.parametrize("name", ["fake_ollama", "fake_vllm", "fake_lmstudio"])
def test_a_fake_runs_as_a_program_on_a_socket(name: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [sys.executable, "-m", f"tests.fakes.{name}", "--socket", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"listening": f"unix:{path}"}
        process.terminate()


def test_a_stream_can_break_off() -> None:
    with (
        FakeVllm(break_after=2) as server,
        openai.OpenAI(base_url=server.url + "/v1", api_key="x", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(
            model="org/tiny", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        with pytest.raises(openai.APIConnectionError):
            list(stream)
