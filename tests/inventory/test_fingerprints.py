"""Fingerprints: each server is told by its own answers, and no answer, however odd, makes trouble."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.inventory import DIGEST_UNKNOWN, Answer, Model
from remit.inventory.fingerprints import (
    FIRST,
    KEY_NEEDED,
    LOADING,
    MAX_MODELS,
    MODELS_DROPPED,
    NAMES_DROPPED,
    REST,
    recognise,
)

HEX = "a" * 64


def say(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def listing(*models: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(models)}


NOT_FOUND = say({"detail": "Not Found"}, 404, server="uvicorn")
OLLAMA = {
    "/": say(b"Ollama is running"),
    "/api/version": say({"version": "0.12.6"}),
    "/api/tags": say({"models": [{"name": "gemma3:latest", "digest": HEX}, {"name": "odd", "digest": "md5:1"}]}),
    "/v1/models": say(listing({"id": "gemma3:latest", "object": "model", "owned_by": "library"})),
}
LLAMA_CPP = {
    "/": say({"error": {"code": 404}}, 404, server="llama.cpp"),
    "/v1/models": say(listing({"id": "smol", "owned_by": "llamacpp"}), server="llama.cpp"),
    "/props": say({"model_path": "/m/smol.gguf", "build_info": "b6100-1a2b3c"}, server="llama.cpp"),
    "/api/tags": say({"models": [{"name": ""}]}, server="llama.cpp"),
}
LLAMA_CPP_LOCKED = {
    target: say(
        {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}},
        401,
        server="llama.cpp",
    )
    for target in ("/v1/models", "/props")
}
VLLM = {
    "/": NOT_FOUND,
    "/version": say({"version": "0.11.0"}, server="uvicorn"),
    "/v1/models": say(listing({"id": "meta-llama/Llama-3.2-1B", "object": "model", "owned_by": "vllm"})),
}
VLLM_LOCKED = {**VLLM, "/v1/models": say({"error": "Unauthorized"}, 401)}
LM_STUDIO = {
    "/": say({"error": "Unexpected endpoint or method. (GET /)"}),
    "/api/v0/models": say(listing({"id": "qwen", "object": "model", "type": "llm", "state": "loaded"})),
    "/v1/models": say(listing({"id": "qwen", "object": "model", "owned_by": "organization_owner"})),
}
OTHER = {"/": NOT_FOUND, "/v1/models": say(listing({"id": "m", "object": "model"}))}
OTHER_LOCKED = {
    "/": NOT_FOUND,
    "/v1/models": say({"error": {"message": "no key", "type": "invalid_request_error", "code": None}}, 401),
}


@pytest.mark.parametrize(
    ("answers", "server", "version", "models", "notes"),
    [
        (OLLAMA, "ollama", "0.12.6", (Model("gemma3:latest", f"sha256:{HEX}"), Model("odd")), ()),
        ({"/": OLLAMA["/"]}, "ollama", "", (), ()),
        (LLAMA_CPP, "llama.cpp", "b6100-1a2b3c", (Model("smol"),), ()),
        (LLAMA_CPP_LOCKED, "llama.cpp", "", (), (KEY_NEEDED,)),
        ({"/health": say({"error": {}}, 503, server="llama.cpp")}, "llama.cpp", "", (), (LOADING,)),
        (VLLM, "vllm", "0.11.0", (Model("meta-llama/Llama-3.2-1B"),), ()),
        (VLLM_LOCKED, "vllm", "0.11.0", (), (KEY_NEEDED,)),
        (LM_STUDIO, "lmstudio", "", (Model("qwen"),), ()),
        (OTHER, "openai", "", (Model("m"),), ()),
        (OTHER_LOCKED, "openai", "", (), (KEY_NEEDED,)),
    ],
)
def test_each_server_is_told_by_its_answers(
    answers: dict[str, Answer], server: str, version: str, models: tuple[Model, ...], notes: tuple[str, ...]
) -> None:
    found = recognise(answers)
    assert found is not None
    assert (found.server, found.version, found.models, found.notes) == (server, version, models, notes)


def test_a_server_with_one_answer_to_everything_is_not_taken_for_a_particular_one() -> None:
    found = recognise({target: say(listing({"id": "m", "object": "model"})) for target in (FIRST, *REST)})
    assert found is not None
    assert found.server == "openai"


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/": say(b"<html>It works!</html>", server="nginx"), "/v1/models": say(b"<html>", 404)},
        {"/": say(b"", 401), "/v1/models": say({"error": "unauthorized"}, 401)},  # any server behind a login
        {"/version": say({"version": "1.2"}), "/v1/models": NOT_FOUND},  # any server with a version
        {target: say({"status": "ok"}) for target in (FIRST, *REST)},
        {target: say({"object": "list", "data": [1, None, []]}) for target in REST},
        {"/api/version": say({"version": "0.1"}), "/api/tags": say({"models": "none"})},
    ],
)
def test_other_web_servers_are_not_taken_for_model_servers(answers: dict[str, Answer]) -> None:
    assert recognise(answers) is None


def test_names_that_would_play_tricks_on_a_terminal_are_left_out_and_said_so() -> None:
    rows: list[dict[str, Any]] = [
        {"id": "good"},
        {"id": "\x1b[2Jevil"},
        {"id": "a\nb"},
        {"id": "x" * 300},
        {"id": 7},
        {"id": "\u202eevil"},
    ]
    found = recognise({"/v1/models": say(listing(*rows))})
    assert found is not None
    assert found.models == (Model("good"),)
    assert found.notes == (NAMES_DROPPED,)


def test_an_endless_list_of_models_is_cut() -> None:
    found = recognise({"/v1/models": say(listing(*({"id": f"m{index}"} for index in range(5000))))})
    assert found is not None
    assert len(found.models) == MAX_MODELS
    assert MODELS_DROPPED in found.notes


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"", b"9" * 10_000, b"NaN"])
def test_broken_json_is_no_answer(body: bytes) -> None:
    assert recognise({target: say(body) for target in (FIRST, *REST)}) is None


_KEYS = ("object", "data", "models", "id", "name", "digest", "version", "error", "message", "type", "state")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["list", "vllm", "0.1", HEX]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from((FIRST, *REST)),
        st.builds(
            say, JSON, st.sampled_from([200, 401, 403, 404, 503]), server=st.sampled_from(["", "llama.cpp", "x"])
        ),
    )
)
def test_whatever_it_answers_the_fingerprint_is_clean(answers: dict[str, Answer]) -> None:
    found = recognise(answers)
    if found is None:
        return
    assert found.version.isprintable()
    for model in found.models:
        assert model.name
        assert model.name.isprintable()
        assert model.digest == DIGEST_UNKNOWN or model.digest.startswith("sha256:")


def test_another_remit_s_door_is_no_server_of_its_own() -> None:
    answer = say(listing({"id": "m"}))
    through = Answer(answer.status, {**answer.headers, "remit-decision": "01M7Y50RRCJNS0WCQG8FKBXW8Y"}, answer.body)
    assert recognise({"/v1/models": answer}) is not None
    assert recognise({"/v1/models": through}) is None
