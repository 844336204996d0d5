"""What a request may carry upstream: the fields that are refused, dropped or set, for every dialect alike.

Three kinds of field are refused by name: one that would make the server talk to somebody else, one that carries a
credential past the gateway, and one that changes what the approved model is. Addresses to fetch and prompts in token
ids are refused by what they hold.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final, NamedTuple

from remit.gateway.dialects.dialect import Asked, FieldError, JsonObject
from remit.gateway.prompt_cache import DROPPED, CachePlan
from remit.gateway.routes import Route

KEPT_NAMES: Final = 4096  # field names whose meaning is remembered
MAX_KEPT_NAME: Final = 64  # characters; longer ones are looked at each time
_TOOLS: Final = "it makes the server itself act or connect outward"
_TOKENS: Final = "token ids can't be examined; send text"


def _forbidden() -> dict[str, tuple[str, str]]:
    text = resources.files("remit.gateway.profiles").joinpath("forbidden.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["fields"]
    return {name: (name, row["why"]) for row in rows for name in row["names"]}


FORBIDDEN: Final[Mapping[str, tuple[str, str]]] = _forbidden()  # name: itself, and why
_NAMES: Final = {name.replace("_", ""): found for name, found in FORBIDDEN.items()}
# Ollama administers models: `template` and `adapters` are what `create` is for.
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {"ollama.admin": frozenset({"template", "adapters"})}
# One level below the top these hold the caller's own names (schemas, arguments), not options of the server.
_CALLERS: Final = {
    *("documents", "format", "functions", "guided_json", "input", "json_schema", "messages", "parameters", "prompt"),
    *("questions", "response_format", "schema", "state", "structured_outputs", "text", "tools"),
}
# Tools that the server would run; what remains (functions, custom tools, client-side ones) the caller runs itself.
_SERVER_TOOLS: Final = (
    "code_execution",
    "code_interpreter",
    "file_search",
    "image_generation",
    "mcp",
    "web_fetch",
    "web_search",
)
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_TOOLS_WORDS: Final = frozenset({"arguments", "input_schema", "parameters"})  # a caller's tool names what is in these
_MEDIA: Final = re.compile(r"image|audio|video|file|document|media|pdf")
_WORDS: Final = frozenset(
    {"text", "title", "name", "filename", "context", "type", "id", "media_type", "detail", "format"}
)
# Names that mean a model elsewhere: Ollama sends these to ollama.com (server/cloud_proxy.go).
_MODEL_FIELDS: Final = ("model", "name", "from", "source", "destination")
_REMOTE: Final[Mapping[str, tuple[str, ...]]] = {"ollama": (":cloud", "-cloud")}
_PLAIN: Final = re.compile(r"[a-z0-9_.-]+\Z")
MAX_MODEL_CHARS: Final = 1024  # as in paths; registries allow a quarter of that
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_PROMPTS: Final = ("prompt", "input", "content", "context", "tokens", "input_prefix", "input_suffix")


def asked(route: Route, body: JsonObject | None, query: Mapping[str, str]) -> Asked:
    """The model and `stream` that a request names; raises FieldError for a wrong type."""
    body = body or {}
    stream = route.streams if body.get("stream") is None else body["stream"]
    if type(stream) is not bool:
        raise FieldError("`stream` must be true or false", name="stream")
    names = [body.get("model"), route.names.get("model"), query.get("model")]
    if route.dialect == "ollama":  # the older field, read where `model` is absent or empty
        names.insert(1, body.get("name"))
    for name in map(_model, names):
        if name:
            return Asked(name, stream)
    return Asked(None, stream)


def _model(name: Any) -> str | None:
    if name is None:
        return None
    if type(name) is not str:
        raise FieldError("`model` must be a string", name="model")
    if len(name) > MAX_MODEL_CHARS or _CONTROL.search(name):
        raise FieldError("`model` is no model's name", name="model")
    return name


def forward(route: Route, body: JsonObject | None, cache: CachePlan) -> JsonObject | None:
    """The body to send upstream, new at its top level.

    1. no field by a forbidden name, nor one that only some servers would know; 2. no model elsewhere; 3. no tool
    that the server would run; 4. no address to fetch; 5. no prompt in token ids; 6. the caller's cache fields are
    dropped and the plan's set.
    Not checked here: credentials and personal data inside texts, which the detector finds.
    """
    if body is None:
        return None
    _check_names(route, body)
    _check_model(route, body)
    _check_tools(body)
    for name, value in body.items():
        if name not in _NOT_WALKED:
            _check_addresses(name, value)
    if route.operation not in {"plain.text", "plain.admin", "ollama.admin", "ollama.show"}:
        _check_prompts(body)
    sent = {name: value for name, value in body.items() if name not in DROPPED}
    sent.update(cache.add)
    return sent


_NOT_WALKED: Final = frozenset({"tools", "functions", "response_format", "json_schema", "format", "metadata"})


def _check_names(route: Route, body: JsonObject) -> None:
    allowed = _ALLOWED.get(route.operation, frozenset())
    for name, value in body.items():
        _check_name(name, name, allowed)
        if _PLAIN.match(name) is None:  # Go reads `Model` and `me\u017f\u017fages` as `model` and `messages`
            message = f"`{name[:100]}` is not forwarded: servers differ in what they take it for"
            raise FieldError(message, name=name, rule="forbidden-field", hint="write fields in lower case")
        if type(value) is dict and name not in _CALLERS:
            for inner in value:
                _check_name(inner, f"{name}.{inner}", allowed)


def _check_name(name: str, shown: str, allowed: frozenset[str]) -> None:
    found = _forbidden_name(name) if len(name) <= MAX_KEPT_NAME else _forbidden_name.__wrapped__(name)
    if found is not None and found[0] not in allowed:
        hint = f"leave `{shown}` out"
        raise FieldError(f"`{shown}` is not forwarded: {found[1]}", name=shown, rule="forbidden-field", hint=hint)


@lru_cache(maxsize=KEPT_NAMES)
def _forbidden_name(name: str) -> tuple[str, str] | None:
    return _NAMES.get(name.casefold().replace("_", "").replace("-", ""))


def _check_model(route: Route, body: JsonObject) -> None:
    remote = _REMOTE.get(route.server, ())
    for field in _MODEL_FIELDS if remote else ():
        name = body.get(field)
        if type(name) is str and name.endswith(remote):
            message = f"`{field}` names a model that runs elsewhere: `{name[:100]}` is sent to ollama.com"
            raise FieldError(
                message, name=field, rule="forbidden-field", hint="name a model that runs on this machine"
            )


def _check_tools(body: JsonObject) -> None:
    tools = body.get("tools")
    for place, tool in enumerate(tools if type(tools) is list else ()):
        kind = tool.get("type", "") if type(tool) is dict else ""
        remote = type(tool) is dict and not {"server_url", "connector_id"}.isdisjoint(tool)
        if remote or (type(kind) is str and kind.startswith(_SERVER_TOOLS)):
            message = f"`tools[{place}]` is not forwarded: {_TOOLS}"
            raise FieldError(message, name=f"tools[{place}]", rule="forbidden-field", hint="run the tool yourself")


def _check_addresses(name: str, value: Any) -> None:
    """No text that a server would take for an address, wherever it stands. Only `data:` URLs pass."""
    if type(value) is list or type(value) is dict:
        _walk(value, _NOWHERE, (None, name))


class _Place(NamedTuple):
    """Where the walk stands: in a field named as an address, or in a part that holds media."""

    named: bool = False
    media: bool = False


_NOWHERE: Final = _Place()
_Path = tuple[Any, str | int]  # the path above, and the last step: spelled out only for an error


def _walk(value: Any, place: _Place, path: _Path) -> None:
    """Look at every string a server might fetch."""
    if type(value) is str:
        if place.named or place.media:
            _check_address(value, place, path)
    elif type(value) is list:
        for number, item in enumerate(value):
            _walk(item, place, (path, number))
    elif type(value) is dict:
        kind = value.get("type")
        kind = kind if type(kind) is str else ""
        media = kind != "text" and (place.media or (kind != "" and _MEDIA.search(kind) is not None))
        if media and "uuid" in value:
            shown = _spelled((path, "uuid"))
            message = f"`{shown}` is not forwarded: it names media that the server kept, whoever sent it"
            raise FieldError(message, name=shown, rule="forbidden-field")
        for name, item in value.items():
            if name not in _TOOLS_WORDS and not kind.endswith("citation"):
                inside = _inside if len(name) <= MAX_KEPT_NAME else _inside.__wrapped__
                _walk(item, inside(name, place.named, media), (path, name))


def _check_address(text: str, place: _Place, path: _Path) -> None:
    bare = text.strip()
    if bare and bare[:5].lower() != "data:" and (place.named or _ADDRESS.match(bare)):
        shown = _spelled(path)
        message = f"`{shown}` is an address that the server would fetch from"
        hint = "send the content itself, as a `data:` URL"
        raise FieldError(message, name=shown, rule="forbidden-field", hint=hint)


def _spelled(path: _Path) -> str:
    """`messages[0].content[1].image_url.url`"""
    above, step = path
    if above is None:
        return str(step)
    return _spelled(above) + (f"[{step}]" if type(step) is int else f".{step}")


@lru_cache(maxsize=KEPT_NAMES)
def _inside(name: str, named: bool, media: bool) -> _Place:
    if name in _WORDS:
        return _NOWHERE
    url = name.lower().replace("_", "").endswith(("url", "uri"))
    return _Place(named=named or url, media=media or name == "source")


def _check_prompts(body: JsonObject) -> None:
    for field in _PROMPTS:
        if _has_numbers(body.get(field)):
            hint = "with LangChain's OpenAIEmbeddings: check_embedding_ctx_length=False" if field == "input" else ""
            message = f"`{field}` is not forwarded: {_TOKENS}"
            raise FieldError(message, name=field, rule="forbidden-field", hint=hint)


def _has_numbers(value: Any) -> bool:
    """Whether a prompt is, or has in it, a list of numbers."""
    if type(value) is not list:
        return False
    return any(type(item) in {int, float} or _has_numbers(item) for item in value)
