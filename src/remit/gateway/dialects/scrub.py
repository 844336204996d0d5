"""What answers say beyond the model's text: cache hits, token ids, file paths; and how it is taken out.

Cached-token counts and prompt timings tell a caller whether a prompt was seen before (docs/servers.md lists them per
server). Token ids and log-probabilities spell out text that was masked.
"""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

# top level: llama.cpp (`timings` to `id_slot`, `tokens_*`), vLLM (`kv_transfer_params`, `metrics`), Ollama
_TELLS: Final = (
    "id_slot",
    "kv_transfer_params",
    "metrics",
    "prompt_eval_duration",
    "prompt_progress",
    "timings",
    "tokens_cached",
    "tokens_evaluated",
)
_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details")  # OpenAI chat, OpenAI Responses
_COUNTS: Final = ("cached_tokens", "cache_write_tokens")
_ANTHROPIC: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")
_LMSTUDIO: Final = ("time_to_first_token", "time_to_first_token_seconds")
_TOKENS: Final = frozenset(
    {
        "completion_probabilities",
        "context",
        "logprobs",
        "probs",
        "prompt_logprobs",
        "prompt_token_ids",
        "token_ids",
        "tokens",
        "top_logprobs",
    }
)
_CALLERS: Final = frozenset({"arguments", "input", "parameters"})  # objects whose fields a caller's tool named
_FROM: Final = re.compile(r"^(\s*(?:#\s*)?FROM\s+)(\S*[/\\])([^/\\\s]+)", re.MULTILINE)


def hide_cache(value: dict[str, Any]) -> None:
    """Take out of an answer or event what tells whether its prompt had been seen before."""
    for name in _TELLS:
        value.pop(name, None)
    usage = value.get("usage")
    if type(usage) is dict:
        _hide_usage(usage)
    stats = value.get("stats")
    if type(stats) is dict:
        for name in _LMSTUDIO:
            stats.pop(name, None)


def _hide_usage(usage: dict[str, Any]) -> None:
    for name in _DETAILS:
        details = usage.get(name)
        if type(details) is dict:
            for count in _COUNTS:
                if count in details:
                    details[count] = 0
    for name in _ANTHROPIC:  # Anthropic counts cached tokens apart from `input_tokens`: without them it would tell
        if type(usage.get(name)) is int and usage[name]:
            if type(usage.get("input_tokens")) is int:
                usage["input_tokens"] += usage[name]
            usage[name] = 0
    creation = usage.get("cache_creation")
    if type(creation) is dict:
        usage["cache_creation"] = dict.fromkeys(creation, 0)


def drop_tokens(value: Any) -> None:
    """Take token ids and log-probabilities out of every level of an answer. Fields that must be there become null."""
    if type(value) is list:
        for item in value:
            drop_tokens(item)
    elif type(value) is dict:
        for name in _TOKENS.intersection(value):
            if name == "logprobs":
                value[name] = None
            elif type(value[name]) in {list, dict}:
                del value[name]
        for name, item in value.items():
            if name not in _CALLERS and (type(item) is dict or type(item) is list):
                drop_tokens(item)


def base_name(name: str) -> str:
    """A model's file name without its directories; a registry's name (`org/model`) stays as it is."""
    if "\\" in name and name.endswith(".gguf"):
        return PureWindowsPath(name).name
    if name.startswith(("/", "./", "../", "~")) or ("/" in name and name.endswith(".gguf")):
        return PurePosixPath(name).name
    return name


def base_names(value: dict[str, Any]) -> None:
    """llama.cpp names a model by the path it was started with: reduce that in an answer, an event or a list."""
    _reduce(value)
    for rows in (value.get("data"), value.get("models")):
        if type(rows) is list:
            for row in rows:
                if type(row) is dict:
                    _reduce(row)


def _reduce(row: dict[str, Any]) -> None:
    for name in ("model", "id", "name", "path", "model_path"):
        text = row.get(name)
        if type(text) is str and ("/" in text or "\\" in text):
            row[name] = base_name(text)
    if type(row.get("aliases")) is list:
        row["aliases"] = [base_name(alias) if type(alias) is str else alias for alias in row["aliases"]]
    for name in ("response", "message"):  # Responses and Anthropic nest the whole answer in some events
        inner = row.get(name)
        if type(inner) is dict and type(inner.get("model")) is str:
            inner["model"] = base_name(inner["model"])


def modelfile(text: str) -> str:
    """Ollama's modelfile with the directories of its FROM lines taken off."""
    return _FROM.sub(r"\1\3", text)


def token_of(row: Any) -> Any:
    """The token that one row of log-probabilities is about."""
    return row.get("token") if type(row) is dict else None


def spelled(tokens: Any, text: Any) -> bool:
    """Whether `tokens` are exactly the pieces of `text`: then naming them tells no more than the text does."""
    return type(tokens) is list and all(type(token) is str for token in tokens) and "".join(tokens) == text
