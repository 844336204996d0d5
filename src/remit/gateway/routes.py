"""Which requests a server kind knows, and what each asks for; anything else is refused."""

import enum
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from remit.errors import ConfigError, ProtocolError
from remit.policy import Action

SERVERS: Final = ("llama.cpp", "ollama", "vllm", "lmstudio", "openai")
MAX_PATH_BYTES: Final = 2048  # longer than any route with a model name of 1,024 characters
_NAMED: Final = re.compile(r"\{([a-z_]+)(\.\.\.)?\}\Z")
_VALUE: Final = re.compile(r"[A-Za-z0-9._:@+-]+(/[A-Za-z0-9._:@+-]+)*\Z")  # a model name as registries write it


class RouteClass(enum.StrEnum):
    """What a route asks for: a Cedar action of the same name, or `unsafe`: never forwarded, whoever asks."""

    INFER = "infer"
    EMBED = "embed"
    LIST = "list"
    HEALTH = "health"
    ADMINISTER = "administer"
    DISCLOSE = "disclose"
    UNSAFE = "unsafe"


_ACTIONS: Final[Mapping[RouteClass, Action]] = {
    cls: Action(cls.value) for cls in RouteClass if cls is not RouteClass.UNSAFE
}


class RouteError(ProtocolError):
    """No such request is forwarded. `rule` is `unknown-route`, `unsafe-route` or `bad-path`."""

    def __init__(self, message: str, *, rule: str, status: int, route: str = "", hint: str = "") -> None:
        super().__init__(message, status=status, hint=hint)
        self.rule = rule
        self.route = route


@dataclass(frozen=True, slots=True)
class Route:
    """One route of one server kind.

    `operation` is `dialect.operation`. `query` names the parameters that may be forwarded. `body` is `json`, `none`
    or `bytes`; `reply` is `json` or `text`. `caches`: the server may answer faster for a prompt seen before.
    `streams` says what an absent `stream` means. `path` and `names` are set by `match`: the path to send, in one
    spelling, and what stood in the pattern's `{names}`.
    """

    server: str
    method: str
    pattern: str
    cls: RouteClass
    operation: str
    query: tuple[str, ...] = ()
    body: str = "json"
    reply: str = "json"
    caches: bool = False
    streams: bool = False
    why: str = ""
    path: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """`METHOD /pattern`, as policies and the log name it."""
        return f"{self.method} {self.pattern}"

    @property
    def dialect(self) -> str:
        return self.operation.partition(".")[0]

    @property
    def action(self) -> Action:
        """The Cedar action; raises KeyError for an unsafe route, which `match` never returns."""
        return _ACTIONS[self.cls]


@dataclass(frozen=True, slots=True)
class Profile:
    """All routes of one server kind, and where the list was read."""

    server: str
    source: tuple[str, ...]
    routes: tuple[Route, ...]
    literal: Mapping[tuple[str, str], Route]
    named: tuple[tuple[Route, tuple[str, ...]], ...]


@cache
def profile(server: str) -> Profile:
    """The profile of one server kind; raises ConfigError for a kind there is none for."""
    if server not in SERVERS:
        raise ConfigError(f"no route profile for server kind `{server}`", hint=f"known kinds: {', '.join(SERVERS)}")
    text = resources.files("remit.gateway.profiles").joinpath(f"{server}.toml").read_text(encoding="utf-8")
    return parse(server, text)


def parse(server: str, text: str) -> Profile:
    """A profile from its TOML; raises ConfigError naming the route that can't be taken."""
    data = tomllib.loads(text)
    routes = tuple(route for row in data["route"] for route in _rows(server, row))
    if len({str(route) for route in routes}) != len(routes):
        raise ConfigError(f"route profile `{server}` lists a route twice")
    literal = {
        (route.method, route.pattern): replace(route, path=route.pattern)
        for route in routes
        if "{" not in route.pattern
    }
    named = tuple((route, tuple(route.pattern[1:].split("/"))) for route in routes if "{" in route.pattern)
    return Profile(server, tuple(data["source"]), routes, literal, named)


def _rows(server: str, row: Mapping[str, Any]) -> list[Route]:
    cls = RouteClass(row["class"])
    if cls is RouteClass.UNSAFE and not row.get("why"):
        raise ConfigError(f"route profile `{server}`: `{row['paths'][0]}` is unsafe but doesn't say why")
    bodiless = {"GET", "HEAD"}
    return [
        Route(
            server,
            method,
            path,
            cls,
            row.get("operation", "plain.json"),
            tuple(row.get("query", ())),
            "none" if method in bodiless else row.get("body", "json"),
            row.get("reply", "json"),
            row.get("caches", False),
            row.get("streams", False),
            row.get("why", ""),
        )
        for path in row["paths"]
        for method in row["methods"]
    ]


def match(routes: Profile, method: str, path: str) -> Route:
    """The route that `method` and `path` (without its query) name; raises RouteError when none is to be forwarded.

    HEAD is answered where the profile lists it. OPTIONS, TRACE and CONNECT are in no profile: a browser's preflight
    gets no permission, and nothing is echoed or tunnelled.
    """
    found = routes.literal.get((method, path))
    if found is not None:
        return _safe(found)
    segments = _segments(path)
    for route, pattern in routes.named:
        if route.method == method and (names := _names(pattern, segments)) is not None:
            return _safe(replace(route, path=_spelled(pattern, names), names=names))
    raise _unknown(routes, method, path)


def query(route: Route, text: str) -> tuple[dict[str, str], str]:
    """What `text` (after the `?`) says, and the same in one spelling; raises RouteError for what isn't allowed."""
    if not text:
        return {}, ""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=16)
    except ValueError:
        raise RouteError("the query can't be read", rule="bad-path", status=400, route=str(route)) from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RouteError("a query parameter is given twice", rule="bad-path", status=400, route=str(route))
    for name in found:
        if name not in route.query:
            message = f"query parameter `{name}` is not forwarded on `{route}`"
            raise RouteError(message, rule="unknown-parameter", status=400, route=str(route))
    return found, urlencode(found)


def _safe(route: Route) -> Route:
    if route.cls is RouteClass.UNSAFE:
        message = f"`{route}` is never forwarded: {route.why}"
        raise RouteError(message, rule="unsafe-route", status=403, route=str(route))
    return route


def _unknown(routes: Profile, method: str, path: str) -> RouteError:
    others = sorted({route.method for route in routes.routes if route.pattern == path})
    status = 405 if others or method in {"OPTIONS", "TRACE", "CONNECT"} else 404
    hint = f"`{path}` takes {', '.join(others)}" if others else "docs/servers.md lists every route that is"
    message = f"`{method} {path[:200]}` is no known route of a {routes.server} server and is not forwarded"
    return RouteError(message, rule="unknown-route", status=status, hint=hint)


def _segments(path: str) -> list[str]:
    """The decoded segments; a path that two servers could read in two ways is refused."""
    if not path.startswith("/") or len(path) > MAX_PATH_BYTES or not path.isascii():
        raise RouteError("the path can't be read", rule="bad-path", status=400)
    try:
        segments = [unquote(segment, errors="strict") for segment in path[1:].split("/")]
    except UnicodeDecodeError:
        raise RouteError("the path is not UTF-8", rule="bad-path", status=400) from None
    for segment in segments:
        if (
            segment in {".", ".."}
            or "\\" in segment
            or any(ord(char) < 0x21 or ord(char) == 0x7F for char in segment)
        ):
            raise RouteError("the path can't be read in one way only", rule="bad-path", status=400)
    return segments


def _names(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    names = {}
    for place, part in enumerate(pattern):
        named = _NAMED.match(part)
        if place >= len(segments) or (named is None and (part != segments[place])):
            return None
        if named is None:
            continue
        value = "/".join(segments[place:]) if named[2] else segments[place]
        if _VALUE.match(value) is None or not {".", ".."}.isdisjoint(value.split("/")):
            return None
        names[named[1]] = value
        if named[2]:
            return names
    return names if len(pattern) == len(segments) else None


def _spelled(pattern: tuple[str, ...], names: Mapping[str, str]) -> str:
    """The path to send: the server decides on exactly what was decided on here."""
    parts = []
    for part in pattern:
        named = _NAMED.match(part)
        parts.append(part if named is None else quote(names[named[1]], safe="/:@+" if named[2] else ":@+"))
    return "/" + "/".join(parts)
