"""Whether a request brings what a tool, a search or a document said: content from outside, in every dialect. Pure.

Read from what a request says of itself: a client that passes such a result off as its user's text is believed.
A prompt without roles (completions, `input` as one text) says nothing of the kind.
"""

from collections.abc import Mapping
from typing import Any, Final

# Whose words a message may be. Any other role (`tool`, `function`, `ipython`, `observation`, …) is what was fetched.
_OWN_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "model"})
# Blocks and items that a fetched text is in: Anthropic's, OpenAI's responses and its chat's.
_BROUGHT: Final = frozenset({"document", "file", "input_file", "search_result"})
_ENDINGS: Final = ("_result", "_output")  # `tool_result`, `web_search_tool_result`, `function_call_output`, …
_RESULTS: Final = (
    "output",
    "outputs",
    "result",
    "results",
)  # of `mcp_call`, `file_search_call`, …
_WITHIN: Final = ("content", "messages", "input")
_FIELDS: Final = ("documents",)  # vLLM's, for templates that cite


def brings(body: Any) -> bool:
    """Whether something in this request came from outside. `body` is JSON; anything else brings nothing."""
    if not isinstance(body, Mapping):
        return False
    return any(body.get(name) for name in _FIELDS) or any(_brought(body.get(name)) for name in _WITHIN)


def _brought(value: Any) -> bool:
    """In a list of messages, items or blocks, and what is in those."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, Mapping):
            if _from_outside(one):
                return True
            waiting.extend(one[name] for name in _WITHIN if name in one)
    return False


def _from_outside(item: Mapping[str, Any]) -> bool:
    role, kind = item.get("role"), item.get("type")
    if role is not None and str(role).strip().lower() not in _OWN_ROLES:
        return True
    if not isinstance(kind, str):
        return False
    kind = kind.strip().lower()
    called = kind.endswith("_call") and any(item.get(name) for name in _RESULTS)
    return kind in _BROUGHT or kind.endswith(_ENDINGS) or called
