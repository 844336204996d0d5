"""Route profiles: every route is classed, and what is in none of them is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import ConfigError
from remit.gateway import routes
from remit.gateway.dialects import DIALECTS
from remit.gateway.routes import SERVERS, Route, RouteClass, RouteError

EVERY = [route for server in SERVERS for route in routes.profile(server).routes]
SAMPLE = "org/model-1"


def example(route: Route) -> str:
    parts = route.pattern.split("/")
    return "/".join("x1" if part.startswith("{") and "..." not in part else part for part in parts).replace(
        "{model...}", SAMPLE
    )


@pytest.mark.parametrize("route", EVERY, ids=lambda route: f"{route.server} {route}")
def test_each_route_is_found_by_its_own_path(route: Route) -> None:
    served = routes.profile(route.server)
    if route.cls is RouteClass.UNSAFE:
        with pytest.raises(RouteError, match="is never forwarded") as refused:
            routes.match(served, route.method, example(route))
        assert (refused.value.rule, refused.value.status) == ("unsafe-route", 403)
        return
    found = routes.match(served, route.method, example(route))
    assert (str(found), found.cls) == (str(route), route.cls)
    assert found.action == route.cls.value
    assert found.path == example(route)


@pytest.mark.parametrize("route", EVERY, ids=lambda route: f"{route.server} {route}")
def test_each_route_names_a_dialect_that_exists(route: Route) -> None:
    assert route.dialect in DIALECTS
    if route.cls in {RouteClass.INFER, RouteClass.EMBED}:
        assert route.operation != "plain.json", "a body with texts needs an operation"
    assert route.body in {"json", "none", "bytes"}
    assert route.reply in {"json", "text"}


@pytest.mark.parametrize("server", SERVERS)
def test_each_profile_names_its_source(server: str) -> None:
    assert routes.profile(server).source


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/v1/models/"),
        ("GET", "//v1/models"),
        ("GET", "/V1/models"),
        ("GET", "/v1/./models"),
        ("GET", "/v1/../v1/models"),
        ("GET", "/v1/%2e%2e/slots"),
        ("GET", "/v1/models/..%2f..%2fslots"),
        ("GET", "/v1/models/a%252fb"),
        ("GET", "/v1/models/a%00"),
        ("GET", "/v1/models/a\\b"),
        ("GET", "/v1/models/a;b"),
        ("GET", "/v1/models/%ff"),
        ("GET", "/v1/models\n"),
        ("GET", "*"),
        ("GET", "http://elsewhere/v1/models"),
        ("POST", "/v1/models"),
        ("PUT", "/v1/chat/completions"),
        ("OPTIONS", "/v1/chat/completions"),
        ("TRACE", "/v1/models"),
        ("CONNECT", "elsewhere:443"),
        ("get", "/v1/models"),
    ],
)
def test_what_is_in_no_profile_is_refused(server: str, method: str, path: str) -> None:
    with pytest.raises(RouteError) as refused:
        routes.match(routes.profile(server), method, path)
    assert refused.value.rule in {"unknown-route", "bad-path"}
    assert refused.value.status in {400, 404, 405}


@given(st.text(max_size=40))
def test_any_path_is_a_route_or_a_refusal(path: str) -> None:
    try:
        found = routes.match(routes.profile("lmstudio"), "GET", "/v1/models/" + path)
    except RouteError:
        return
    assert routes.match(routes.profile("lmstudio"), "GET", found.path) == found


def test_a_models_name_is_taken_from_the_path_in_one_spelling() -> None:
    for path in ("/v1/models/org/m%2D1", "/v1/m%6Fdels/org/m-1", "/v1/models/org%2Fm-1"):
        found = routes.match(routes.profile("ollama"), "GET", path)
        assert found.names == {"model": "org/m-1"}
        assert found.path == "/v1/models/org/m-1"


def test_head_is_answered_where_the_profile_says_so() -> None:
    assert str(routes.match(routes.profile("ollama"), "HEAD", "/api/tags")) == "HEAD /api/tags"
    with pytest.raises(RouteError, match="no known route"):
        routes.match(routes.profile("vllm"), "HEAD", "/v1/models")


def test_only_named_parameters_are_forwarded() -> None:
    messages = routes.match(routes.profile("llama.cpp"), "POST", "/v1/messages")
    assert routes.query(messages, "beta=true") == ({"beta": "true"}, "beta=true")
    assert routes.query(messages, "") == ({}, "")
    for text in ("api_base=x", "beta=1&beta=2", "beta", "%ff=1", "beta=%ff"):
        with pytest.raises(RouteError):
            routes.query(messages, text)


def test_a_kind_without_a_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="no route profile for server kind `tgi`"):
        routes.profile("tgi")


def test_an_unsafe_route_must_say_why() -> None:
    with pytest.raises(ConfigError, match="doesn't say why"):
        routes.parse("x", 'source = ["x"]\n[[route]]\nclass = "unsafe"\nmethods = ["GET"]\npaths = ["/a"]\n')


def test_a_route_stands_once() -> None:
    row = '[[route]]\nclass = "list"\nmethods = ["GET"]\npaths = ["/a"]\n'
    with pytest.raises(ConfigError, match="twice"):
        routes.parse("x", 'source = ["x"]\n' + row + row)


@pytest.mark.parametrize(
    ("server", "method", "path", "cls"),
    [
        ("llama.cpp", "GET", "/slots", "disclose"),
        ("llama.cpp", "POST", "/slots/0", "administer"),
        ("llama.cpp", "GET", "/props", "disclose"),
        ("llama.cpp", "POST", "/props", "administer"),
        ("llama.cpp", "GET", "/metrics", "disclose"),
        ("llama.cpp", "POST", "/infill", "infer"),
        ("ollama", "POST", "/api/pull", "administer"),
        ("ollama", "DELETE", "/api/delete", "administer"),
        ("ollama", "POST", "/api/blobs/sha256:00ff", "administer"),
        ("ollama", "POST", "/v1/messages", "infer"),
        ("vllm", "POST", "/score", "embed"),
        ("vllm", "GET", "/server_info", "disclose"),
        ("vllm", "POST", "/sleep", "administer"),
        ("lmstudio", "POST", "/api/v0/chat/completions", "infer"),
        ("openai", "POST", "/v1/embeddings", "embed"),
    ],
)
def test_routes_ask_for_what_people_expect(server: str, method: str, path: str, cls: str) -> None:
    assert routes.match(routes.profile(server), method, path).cls == cls


@pytest.mark.parametrize("path", ["/invocations", "/v1/load_lora_adapter", "/collective_rpc", "/update_weights"])
def test_what_goes_past_policy_is_never_forwarded(path: str) -> None:
    with pytest.raises(RouteError, match="is never forwarded"):
        routes.match(routes.profile("vllm"), "POST", path)
