"""Whether a request brings what a tool, a search or a document said: content from outside, in every dialect. Pure.

Read from what a request says of itself: a client that passes such a result off as its user's text is believed.
A prompt without roles (completions, `input` as one text) says nothing of the kind.
"""

from typing import Any, Final

# Whose words a message may be. Any other role (`tool`, `function`, `ipython`, `observation`, …) is what was fetched.
_OWN_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "model"})
_OWN_KINDS: Final = frozenset({"text", "input_text", "output_text", "message", "image_url", "function"})  # the usual
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
    """Whether something in this request came from outside. `body` is JSON as it was parsed; else nothing did."""
    if type(body) is not dict:
        return False
    return any(body.get(name) for name in _FIELDS) or _brought([body.get(name) for name in _WITHIN])


def _brought(waiting: list[Any]) -> bool:
    """In lists of messages, items or blocks, and what is in those."""
    while waiting:
        one = waiting.pop()
        if type(one) is list:
            waiting.extend(one)
        elif type(one) is dict:
            if _from_outside(one):
                return True
            waiting.extend([one[name] for name in _WITHIN if name in one])
    return False


def _from_outside(item: dict[str, Any]) -> bool:
    role, kind = item.get("role"), item.get("type")
    if role is not None and role not in _OWN_ROLES and str(role).strip().lower() not in _OWN_ROLES:
        return True
    if type(kind) is not str or kind in _OWN_KINDS:
        return False
    kind = kind.strip().lower()
    called = kind.endswith("_call") and any(item.get(name) for name in _RESULTS)
    return kind in _BROUGHT or kind.endswith(_ENDINGS) or called
