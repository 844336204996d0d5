"""How many tokens a request may need at most, and how it is held to no more: pure, for every dialect alike.

Nobody here knows a server's tokens. A prompt has no more of them than its JSON has bytes: a token is a byte at least,
and what a template puts around a message is shorter than the JSON around it. An answer has no more than the request's
own maximum says, which is set where it is missing, and lowered where it is more than there is.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from remit.gateway.routes import Route

UNNAMED: Final = 16_384  # of an answer whose request names no maximum: longer than what servers' users set by hand

# By operation, where the maximum is written if the request has none that its server reads; OPTIONS: in Ollama's
# object of that name.
_WRITTEN: Final[Mapping[str, str]] = {
    "anthropic.messages": "max_tokens",
    "llamacpp.completion": "n_predict",
    "lmstudio.chat": "max_output_tokens",
    "ollama.chat": "num_predict",
    "ollama.generate": "num_predict",
    "openai.chat": "max_tokens",
    "openai.completions": "max_tokens",
    "openai.responses": "max_output_tokens",
}
OPTIONS: Final = "options"
_AS_GOOD: Final[Mapping[str, str]] = {"openai.chat": "max_completion_tokens"}  # read there, too
# Under whichever of these a server looks: llama.cpp takes its own name before OpenAI's in the same request.
_NAMES: Final = (
    "max_completion_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "max_tokens",
    "n_predict",
    "num_predict",
)
_TIMES: Final = ("best_of", "n", "n_cmpl")  # how many answers are made of one prompt
_COUNTED: Final = frozenset({"openai.chat", "openai.completions"})  # streams that tell usage only where asked to


def answers(route: Route, body: Mapping[str, Any]) -> int:
    """How many answers the server makes, each as long as the maximum; 0 where it makes none."""
    if route.operation not in _WRITTEN:
        return 0
    prompts = body.get("prompt")
    each = [_number(body.get(name)) for name in _TIMES]
    return max([1, *each]) * (max(1, len(prompts)) if type(prompts) is list else 1)


def longest(body: Mapping[str, Any]) -> int:
    """The most tokens that one answer may have by the request's own word: servers differ in which name counts."""
    named = [value if _is_maximum(value) else UNNAMED for _, _, value in _maxima(body)]
    return max(named, default=UNNAMED)


def held_to(route: Route, body: Mapping[str, Any], most: int) -> dict[str, Any]:
    """The body with no maximum above `most`, and with one; and a stream that tells what it used."""
    held = {**body}
    if type(body.get(OPTIONS)) is dict:
        held[OPTIONS] = {**body[OPTIONS]}
    found = list(_maxima(held))
    for holder, name, value in found:
        holder[name] = min(value, most) if _is_maximum(value) else most
    if not _has_maximum(route, held):  # one by another server's name is none to this one
        _write(held, _WRITTEN[route.operation], most)
    if route.operation in _COUNTED and body.get("stream") is True:
        told = body.get("stream_options")
        held["stream_options"] = {**(told if type(told) is dict else {}), "include_usage": True}
    return held


def hears_of_usage(body: Mapping[str, Any]) -> bool:
    """Whether the request itself asked for a last event with what was used."""
    told = body.get("stream_options")
    return type(told) is dict and told.get("include_usage") is True


def _maxima(body: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    for holder in (body, body.get(OPTIONS)):
        if isinstance(holder, dict):
            yield from [(holder, name, holder[name]) for name in _NAMES if name in holder]


def _has_maximum(route: Route, body: Mapping[str, Any]) -> bool:
    name = _WRITTEN[route.operation]
    if name == "num_predict":
        said = body.get(OPTIONS)
        return type(said) is dict and name in said
    return name in body or _AS_GOOD.get(route.operation, name) in body


def _number(value: Any) -> int:
    """As a server may read it that takes `3.0` and `"3"` for 3; 1 for what is none to any."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 1


def _is_maximum(value: Any) -> bool:
    """Below zero is none to llama.cpp and Ollama; what is no whole number may be one to some server."""
    return type(value) is int and value >= 0


def _write(body: dict[str, Any], name: str, most: int) -> None:
    if name == "num_predict":
        said = body.get(OPTIONS)
        body[OPTIONS] = {**(said if type(said) is dict else {}), name: most}
    else:
        body[name] = most
