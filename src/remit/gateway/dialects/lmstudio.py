"""LM Studio's own chat (`/api/v1/chat`): typed events, and one whole answer at the end."""

from typing import Any

from remit.gateway import sse
from remit.gateway.dialects.dialect import JsonObject, Refusal
from remit.gateway.dialects.openai import OpenAi, error
from remit.gateway.dialects.stream import StreamReader, dump
from remit.gateway.dialects.typed_stream import TypedStream
from remit.gateway.prompt_cache import CachePlan
from remit.gateway.routes import Route


class LmStudio(OpenAi):
    """The dialect `lmstudio`: operation chat."""

    def forward(self, route: Route, body: JsonObject | None, cache: CachePlan) -> JsonObject | None:
        sent = super().forward(route, body, cache)
        if sent is not None:
            sent["store"] = False  # a stored chat could be continued by its name, whoever began it
        return sent

    def events(self, route: Route) -> StreamReader:
        return TypedStream(route)

    def stream_error(self, refusal: Refusal) -> bytes:
        event: dict[str, Any] = {"type": "error", **error(refusal)}
        return sse.encode("error", dump(event))
