"""What a server says that an answer used, in tokens: pure, for every dialect alike."""

from collections.abc import Mapping
from typing import Any, Final

# Prompt and answer, as each protocol names them: where both stand at one place of an answer, or of a stream's event.
_PAIRS: Final = (
    ("prompt_tokens", "completion_tokens"),  # OpenAI chat, completions, embeddings
    ("input_tokens", "output_tokens"),  # OpenAI responses, Anthropic
    ("prompt_eval_count", "eval_count"),  # Ollama
    ("tokens_evaluated", "tokens_predicted"),  # llama.cpp's own
    ("input_tokens", "total_output_tokens"),  # LM Studio's own
)
_APART: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")  # Anthropic counts them beside its input
MOST_SAID: Final = 1 << 48  # of one count: far beyond any context, and sums of it are amounts still
_PLACES: Final = ("usage", "stats")
_INSIDE: Final = ("response", "message", "result")  # events that hold a whole answer


class Usage:
    """What one answer told so far: the most of each, as streams tell it in parts and again. 0: nothing yet."""

    __slots__ = ("answer", "prompt")

    def __init__(self) -> None:
        self.prompt = self.answer = 0

    def hear(self, value: Any) -> None:
        """A whole answer, or one event of a stream."""
        if type(value) is not dict:
            return
        self._count(value)
        for holder in (value, *(value.get(inside) for inside in _INSIDE)):
            if isinstance(holder, dict):
                for place in _PLACES:
                    self._count(holder.get(place))

    def _count(self, row: Any) -> None:
        if type(row) is not dict:
            return
        for prompt, answer in _PAIRS:
            if prompt in row or answer in row:
                self._take(row, prompt, answer)

    def _take(self, row: Mapping[str, Any], prompt: str, answer: str) -> None:
        apart = _APART if prompt == "input_tokens" else ()
        before = sum(_number(row.get(name)) for name in (prompt, *apart))
        self.prompt, self.answer = max(self.prompt, before), max(self.answer, _number(row.get(answer)))


def _number(value: Any) -> int:
    return min(value, MOST_SAID) if type(value) is int and value > 0 else 0
