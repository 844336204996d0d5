"""Keeps callers out of each other's prompt cache: what a request must carry so that a right guess tells nothing."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.gateway.routes import Route

# A caller's own values for these would choose whose cache is read; they are dropped on every route. Sources:
# llama.cpp tools/server README (`id_slot`, `cache_prompt`, `n_cache_reuse`, `return_progress`, `timings_per_token`),
# vLLM docs/design/prefix_caching (`cache_salt`), OpenAI's `prompt_cache_key` and `prompt_cache_retention`.
DROPPED: Final = frozenset(
    {
        "cache_prompt",
        "cache_reuse",
        "cache_salt",
        "id_slot",
        "n_cache_reuse",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "request_id",
        "response_fields",
        "return_progress",
        "session_id",
        "slot_id",
        "timings_per_token",
    }
)

# vLLM takes `cache_salt` on these and nowhere else (its Anthropic messages model has no such field).
_SALTED: Final = frozenset({"openai.chat", "openai.completions", "openai.responses"})
# llama.cpp copies unknown fields of these into the slot's parameters; its Anthropic conversion does not.
_SWITCHED_OFF: Final = frozenset({"openai.chat", "openai.completions", "openai.responses", "llamacpp.completion"})


@dataclass(frozen=True, slots=True)
class CachePlan:
    """What `forward` sets for the caller. `isolated` is false where callers of this route still share a cache."""

    isolated: bool
    add: Mapping[str, Any] = field(default_factory=dict)


def plan(route: Route, principal: str, task: str | None, key: bytes) -> CachePlan:
    """The plan for one caller on one route. `key` is secret and lives as long as the gateway: 32 random bytes."""
    if route.server == "llama.cpp" and route.operation in _SWITCHED_OFF:
        return CachePlan(isolated=True, add={"cache_prompt": False})
    if route.server == "vllm" and route.operation in _SALTED:
        return CachePlan(isolated=True, add={"cache_salt": _salt(principal, task, key)})
    return CachePlan(isolated=not route.caches)


def _salt(principal: str, task: str | None, key: bytes) -> str:
    parts = (principal.encode(), b"" if task is None else b"task " + task.encode())
    seed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)  # lengths: no two pairs share a seed
    return hmac.new(key, b"remit prompt cache\x00" + seed, hashlib.sha256).hexdigest()
