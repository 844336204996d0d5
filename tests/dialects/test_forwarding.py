"""What may be sent upstream: forbidden fields and headers, addresses to fetch, cache fields, models elsewhere."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.gateway import routes
from remit.gateway.dialects import DIALECTS, FieldError, HeaderError, forwarded, returned
from remit.gateway.dialects.forwarding import FORBIDDEN
from remit.gateway.dialects.headers import REFUSED
from remit.gateway.prompt_cache import DROPPED, CachePlan, plan
from remit.gateway.routes import Route

KEY = b"k" * 32
NO_PLAN = CachePlan(isolated=True)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "see https://example.org and /etc/passwd"}]}


def route(server: str = "llama.cpp", path: str = "/v1/chat/completions", method: str = "POST") -> Route:
    return routes.match(routes.profile(server), method, path)


def send(body: dict[str, Any], server: str = "llama.cpp", path: str = "/v1/chat/completions") -> dict[str, Any]:
    found = route(server, path)
    sent = DIALECTS[found.dialect].forward(found, body, NO_PLAN)
    assert sent is not None
    return sent


def test_an_ordinary_call_is_sent_as_it_is() -> None:
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"properties": {"api_key": {"type": "string"}}}},
    }
    body = {**CHAT, "tools": [tool], "temperature": 0.1, "metadata": {"user": "ada"}, "stream": True}
    assert send(body) == body


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize(
    "form", [str, str.upper, lambda name: name.replace("_", "-"), lambda name: name.replace("_", "")]
)
def test_a_forbidden_field_is_refused(name: str, form: Any) -> None:
    for body in ({**CHAT, form(name): "x"}, {**CHAT, "options": {form(name): "x"}}):
        with pytest.raises(FieldError) as refused:
            send(body)
        assert refused.value.rule == "forbidden-field"
        assert f"`{refused.value.name}`" in str(refused.value)
        assert refused.value.hint


@pytest.mark.parametrize(
    "name", ["Model", "MESSAGES", "me\u017f\u017fages", "\u212aeep_alive", "", "a b", "context\n"]
)
def test_a_field_that_servers_read_differently_is_refused(name: str) -> None:
    with pytest.raises(FieldError, match="is not forwarded"):
        send({**CHAT, name: "x:cloud"}, "ollama", "/api/chat")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}},
        {"type": "image_url", "image_url": {"url": " HTTPS://example.org/a.png", "detail": "high"}},
        {"type": "image_url", "image_url": "https://example.org/a.png"},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "/etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "//example.org/a.png"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": "image", "image": "https://example.org/a.png"},
        {"type": "video", "video": ["https://example.org/a.mp4"]},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        {"type": "audio_url", "audio_url": {"url": "ftp://example.org/a.wav"}},
        {"type": "image_url", "image_url": None, "uuid": "of-somebody-else"},
        {"type": "tool_result", "content": [{"type": "image", "source": {"type": "url", "url": "http://a/"}}]},
        {"type": "text", "text": "a", "image_url": {"url": "http://a/"}},
    ],
)
def test_an_address_that_the_server_would_fetch_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(FieldError) as refused:
        send({"messages": [{"role": "user", "content": [part]}]})
    assert refused.value.rule == "forbidden-field"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "text", "text": "http://example.org is a page"},
        {"type": "document", "title": "http://a", "source": {"type": "text", "data": "http://a is a page"}},
        {"type": "tool_use", "id": "t", "name": "fetch", "input": {"place": "http://example.org"}},
        {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "https://example.org"}]},
    ],
)
def test_content_that_is_sent_along_passes(part: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert send(body) == body


@pytest.mark.parametrize(
    "kind", ["mcp", "web_search", "web_search_preview", "web_fetch_20250910", "code_interpreter"]
)
def test_a_tool_that_the_server_would_run_is_refused(kind: str) -> None:
    with pytest.raises(FieldError, match=r"tools\[0\]"):
        send({**CHAT, "tools": [{"type": kind}]})


def test_a_tool_at_an_address_is_refused() -> None:
    with pytest.raises(FieldError, match=r"tools\[0\]"):
        send({**CHAT, "tools": [{"type": "function", "server_url": "https://example.org"}]})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": [1, 2]}),
        ("/v1/completions", {"prompt": [[1], [2]]}),
        ("/completion", {"prompt": ["a", 5]}),
        ("/v1/embeddings", {"input": [[1.0, 2]]}),
        ("/embedding", {"content": [1]}),
    ],
)
def test_a_prompt_in_token_ids_is_refused(path: str, body: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="token ids"):
        send(body, path=path)


def test_ollamas_context_is_refused_as_token_ids() -> None:
    with pytest.raises(FieldError, match="token ids"):
        send({"model": "m", "prompt": "a", "context": [1, 2]}, "ollama", "/api/generate")


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "kimi:cloud"])
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/messages"])
def test_a_model_that_runs_elsewhere_is_refused(name: str, path: str) -> None:
    with pytest.raises(FieldError, match="runs elsewhere"):
        send({"model": name, "messages": []}, "ollama", path)


def test_ollama_may_be_told_a_template_by_who_may_create() -> None:
    body = {"model": "m", "from": "tiny", "template": "x"}
    assert send(body, "ollama", "/api/create") == body
    with pytest.raises(FieldError, match="`remote_host`"):
        send({**body, "remote_host": "https://example.org"}, "ollama", "/api/create")
    with pytest.raises(FieldError, match="`template`"):
        send({"model": "m", "prompt": "a", "template": "x"}, "ollama", "/api/generate")


@pytest.mark.parametrize("name", sorted(DROPPED))
def test_the_callers_own_cache_fields_are_dropped(name: str) -> None:
    assert send({**CHAT, name: 1}) == CHAT


def test_llama_cpp_gets_no_cache_and_vllm_a_salt_of_its_own() -> None:
    sent = []
    for server in ("llama.cpp", "vllm"):
        found = route(server)
        cache = plan(found, "spiffe://a/b", "t1", KEY)
        assert cache.isolated
        sent.append(DIALECTS["openai"].forward(found, {**CHAT, "cache_salt": "mine", "cache_prompt": True}, cache))
    assert sent[0] == {**CHAT, "cache_prompt": False}
    assert sent[1] is not None
    assert len(sent[1]["cache_salt"]) == 64


def test_a_salt_differs_by_principal_task_and_key_and_stays_the_same_otherwise() -> None:
    vllm = route("vllm")
    asked = [
        ("a", "t", KEY),
        ("a", "u", KEY),
        ("a", None, KEY),
        ("b", "t", KEY),
        ("a", "t", b"j" * 32),
        ("at", "", KEY),
    ]
    salts = [plan(vllm, *each).add["cache_salt"] for each in asked]
    assert len(set(salts)) == len(asked)
    assert plan(vllm, "a", "t", KEY).add["cache_salt"] == salts[0]


@pytest.mark.parametrize(
    ("server", "path", "isolated"),
    [
        ("llama.cpp", "/v1/messages", False),
        ("llama.cpp", "/v1/embeddings", True),
        ("vllm", "/v1/messages", False),
        ("ollama", "/api/chat", False),
        ("lmstudio", "/v1/chat/completions", False),
        ("openai", "/v1/chat/completions", False),
    ],
)
def test_where_callers_share_a_cache_the_plan_says_so(server: str, path: str, isolated: bool) -> None:
    assert plan(route(server, path), "a", None, KEY) == CachePlan(isolated=isolated)


def test_answers_are_not_kept_by_the_server() -> None:
    assert send({"model": "m", "input": "a", "store": True}, path="/v1/responses")["store"] is False
    assert send({"model": "m", "input": "a"}, "lmstudio", "/api/v1/chat")["store"] is False


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"model": 7}, "model"),
        ({"model": 0}, "model"),
        ({"model": "a\n"}, "model"),
    ],
)
def test_a_wrong_type_is_named(body: dict[str, Any], name: str) -> None:
    with pytest.raises(FieldError) as refused:
        DIALECTS["openai"].asked(route(), body, {})
    assert refused.value.name == name


def test_what_a_request_says_of_itself() -> None:
    for server, path, body, model, stream in (
        ("llama.cpp", "/v1/chat/completions", {"model": "m"}, "m", False),
        ("llama.cpp", "/v1/chat/completions", {"stream": True}, None, True),
        ("llama.cpp", "/v1/chat/completions", {"stream": None}, None, False),
        ("ollama", "/api/chat", {"model": "m"}, "m", True),
        ("ollama", "/api/chat", {"model": "m", "stream": False}, "m", False),
        ("ollama", "/api/show", {"name": "m"}, "m", False),
        ("ollama", "/api/show", {"model": "", "name": "m"}, "m", False),
        ("ollama", "/api/show", {"model": "m", "name": "n"}, "m", False),
        ("ollama", "/v1/chat/completions", {"model": "m"}, "m", False),
    ):
        asked = DIALECTS[route(server, path).dialect].asked(route(server, path), dict(body), {})
        assert (asked.model, asked.stream) == (model, stream)
    listed = route("lmstudio", "/v1/models/org/m", "GET")
    assert DIALECTS["openai"].asked(listed, None, {}).model == "org/m"


@pytest.mark.parametrize("name", REFUSED)
def test_a_header_that_redirects_or_smuggles_is_refused(name: str) -> None:
    for form in (name, name.replace("-", "_")):
        with pytest.raises(HeaderError, match="is refused"):
            forwarded(((form, "x"),))


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20))))
def test_only_listed_headers_pass(headers: list[tuple[str, str]]) -> None:
    listed = (("accept", "*/*"), ("authorization", "Bearer x"), ("x-api-key", "x"), ("cookie", "a=b"))
    assert forwarded((*listed, ("x-conversation-id", "1"))) == (("accept", "*/*"),)
    names = {name for name, _ in returned((*headers, ("set-cookie", "a"), ("server", "x")))}
    assert names <= {"cache-control", "retry-after"}
