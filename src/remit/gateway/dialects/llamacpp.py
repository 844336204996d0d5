"""llama.cpp's own completion and infill: `content` at the top level, streamed as server-sent events."""

from typing import Any

from remit.gateway.dialects.openai import OpenAi
from remit.gateway.dialects.reader import Found, Reader, is_error
from remit.gateway.dialects.scrub import drop_tokens, hide_cache
from remit.gateway.dialects.stream import StreamReader, Whole, string
from remit.gateway.routes import Route


class LlamaCpp(OpenAi):
    """Asked, forwarded and refused as OpenAI's completions are; only its answers have another shape."""

    def events(self, route: Route) -> StreamReader:
        return LlamaCppStream(route)


class LlamaCppStream(Reader):
    """One running text a prompt (`index`). The last event (`stop`) repeats the prompt: cleaned as a whole text."""

    __slots__ = ()

    def read(self, name: str, value: dict[str, Any], found: Found) -> None:
        index = value.get("index", 0)
        index = index if type(index) is int else 0
        for field, inner in value.items():
            if field not in self.memory:
                found.wholes.append(Whole(field, value, field, is_name=True))
            if field == "content" and type(inner) is str:
                if inner or value.get("stop") is True:
                    self.slot(found, f"{index}.content", value, "content", index)
            else:
                string(value, field, inner, self.memory, found.wholes)
        if is_error(value):
            self.end(found)
        elif value.get("stop") is True:
            self.end(found, f"{index}.")

    def delta(self, key: str, text: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "", {"index": self.shape(key), "content": text, "stop": False}

    def scrub(self, value: dict[str, Any], *, changed: bool, masked: bool) -> None:
        hide_cache(value)
        if changed or masked or "tokens" in value or "completion_probabilities" in value:
            drop_tokens(value)  # ids can't be compared with the text beside them: a stream never has them
