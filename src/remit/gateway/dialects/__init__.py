"""The protocols that model servers speak: what a request asks for, what may be sent, and how answers are read."""

from typing import Final

from remit.gateway.dialects.anthropic import Anthropic
from remit.gateway.dialects.dialect import Asked, Dialect, FieldError, JsonObject, Refusal
from remit.gateway.dialects.headers import HeaderError, forwarded, returned
from remit.gateway.dialects.llamacpp import LlamaCpp
from remit.gateway.dialects.lmstudio import LmStudio
from remit.gateway.dialects.ollama import Ollama
from remit.gateway.dialects.openai import OpenAi
from remit.gateway.dialects.plain import Plain
from remit.gateway.dialects.stream import Cleanable, Event, Slot, StreamReader, TextCleaner, Whole, cleaned

DIALECTS: Final[dict[str, Dialect]] = {
    "anthropic": Anthropic(),
    "llamacpp": LlamaCpp(),
    "lmstudio": LmStudio(),
    "ollama": Ollama(),
    "openai": OpenAi(),
    "plain": Plain(),
}

__all__ = [
    "DIALECTS",
    "Asked",
    "Cleanable",
    "Dialect",
    "Event",
    "FieldError",
    "HeaderError",
    "JsonObject",
    "Refusal",
    "Slot",
    "StreamReader",
    "TextCleaner",
    "Whole",
    "cleaned",
    "forwarded",
    "returned",
]
