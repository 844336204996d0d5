"""Which model server this is, told from its answers alone. Pure; takes every answer for a hostile one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.inventory.model import DIGEST_UNKNOWN, Model
from remit.inventory.probe import Answer

FIRST: Final = "/"
REST: Final = ("/v1/models", "/api/version", "/api/tags", "/api/v0/models", "/version", "/props", "/health")

MAX_MODELS: Final = 256
MAX_NAME: Final = 256
KEY_NEEDED: Final = "asks for an API key: its models are unknown"
LOADING: Final = "is still loading its model"
NAMES_DROPPED: Final = "names some models in a way that can't be shown"
MODELS_DROPPED: Final = f"lists more than {MAX_MODELS} models: the rest is left out"

_HEX_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z")

Answers = Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A recognised server. `version` is empty if it doesn't say; `claimed_path` is where it says its weights lie."""

    server: str
    version: str
    models: tuple[Model, ...]
    claimed_path: str | None = None
    notes: tuple[str, ...] = ()


GUARDED: Final = "remit-decision"  # every reply through a Remit carries it


def recognise(answers: Answers) -> Fingerprint | None:
    """The model server that gives these answers, the surest sign first; None when it is none that we know.

    The door of another Remit is no server of its own: what stands behind it is guarded there.
    """
    if any(GUARDED in answer.headers for answer in answers.values()):
        return None
    for judge in _JUDGES:
        found = judge(answers)
        if found is not None:
            return found
    return None


def _llama_cpp(answers: Answers) -> Fingerprint | None:
    """llama.cpp's server signs every answer (`Server: llama.cpp`), also those that want a key (tools/server)."""
    if not any(answer.headers.get("server", "").startswith("llama.cpp") for answer in answers.values()):
        return None
    props = _object(answers, "/props")
    models, notes = _openai_models(answers)
    path, alias = _text(props.get("model_path"), 4096), _text(props.get("model_alias"))
    if not models and alias:
        models = (Model(alias),)
    if not models and any(answer.error() is not None for answer in answers.values()):
        notes += (KEY_NEEDED,)
    if (health := answers.get("/health")) is not None and health.status == 503:
        notes += (LOADING,)
    return Fingerprint("llama.cpp", _text(props.get("build_info")), models, path or None, notes)


def _ollama(answers: Answers) -> Fingerprint | None:
    """`Ollama is running` at the root, or a version and a list of tags (Ollama docs/api.md)."""
    root = answers.get("/")
    says_so = root is not None and root.status == 200 and root.body.strip() == b"Ollama is running"
    version = _text(_object(answers, "/api/version").get("version"))
    rows = _object(answers, "/api/tags").get("models")
    if not says_so and not (version and isinstance(rows, list)):
        return None
    models, notes = _models(rows, "name", lambda row: _digest(row.get("digest")))
    return Fingerprint("ollama", version, models, notes=notes)


def _lm_studio(answers: Answers) -> Fingerprint | None:
    """LM Studio's own list, whose rows say a state and a compatibility type (lmstudio.ai/docs/api/rest-api)."""
    listed = _object(answers, "/api/v0/models")
    rows = listed.get("data")
    if listed.get("object") != "list" or not isinstance(rows, list):
        return None
    if rows and not any(isinstance(row, dict) and {"state", "type"} <= row.keys() for row in rows):
        return None
    models, notes = _models(rows, "id", lambda _: DIGEST_UNKNOWN)
    return Fingerprint("lmstudio", "", models, notes=notes)


def _vllm(answers: Answers) -> Fingerprint | None:
    """`owned_by: vllm` in its list; with a key, `/version` is open and `/v1` says `{"error": "Unauthorized"}`."""
    version = _text(_object(answers, "/version").get("version"))
    rows = _object(answers, "/v1/models").get("data")
    owned = isinstance(rows, list) and any(isinstance(row, dict) and row.get("owned_by") == "vllm" for row in rows)
    locked = _refusal(answers, "/v1/models") == {"error": "Unauthorized"} and bool(version)
    if not owned and not locked:
        return None
    models, notes = _openai_models(answers)
    return Fingerprint("vllm", version, models, notes=(*notes, KEY_NEEDED) if locked else notes)


def _openai(answers: Answers) -> Fingerprint | None:
    """Any other server with OpenAI's list of models, or that refuses it in OpenAI's error shape."""
    listed = _object(answers, "/v1/models")
    if listed.get("object") == "list" and isinstance(listed.get("data"), list):
        models, notes = _openai_models(answers)
        if models or not listed["data"]:
            return Fingerprint("openai", "", models, notes=notes)
    refused = _refusal(answers, "/v1/models")
    shape = refused.get("error") if isinstance(refused, dict) else None
    if isinstance(shape, dict) and isinstance(shape.get("message"), str) and {"type", "code"} & shape.keys():
        return Fingerprint("openai", "", (), notes=(KEY_NEEDED,))
    return None


_JUDGES: Final[tuple[Callable[[Answers], Fingerprint | None], ...]] = (
    _llama_cpp,
    _ollama,
    _lm_studio,
    _vllm,
    _openai,
)


def _openai_models(answers: Answers) -> tuple[tuple[Model, ...], tuple[str, ...]]:
    return _models(_object(answers, "/v1/models").get("data"), "id", lambda _: DIGEST_UNKNOWN)


def _models(
    rows: Any, key: str, digest: Callable[[dict[str, Any]], str]
) -> tuple[tuple[Model, ...], tuple[str, ...]]:
    """The models in a server's list, by name, and what was left out of it."""
    rows = rows if isinstance(rows, list) else []
    found: dict[str, Model] = {}
    notes: tuple[str, ...] = (MODELS_DROPPED,) if len(rows) > MAX_MODELS else ()
    for row in rows[:MAX_MODELS]:
        name = _text(row.get(key)) if isinstance(row, dict) else ""
        if name:
            found.setdefault(name, Model(name, digest(row)))
        elif NAMES_DROPPED not in notes:
            notes += (NAMES_DROPPED,)
    return tuple(found.values()), notes


def _object(answers: Answers, target: str) -> dict[str, Any]:
    answer = answers.get(target)
    parsed = answer.json() if answer is not None else None
    return parsed if isinstance(parsed, dict) else {}


def _refusal(answers: Answers, target: str) -> Any:
    answer = answers.get(target)
    return answer.error() if answer is not None else None


def _text(value: Any, limit: int = MAX_NAME) -> str:
    """`value` if it is a string that may stand in a terminal, else empty."""
    return value if isinstance(value, str) and len(value) <= limit and value.isprintable() else ""


def _digest(value: Any) -> str:
    match = _HEX_DIGEST.match(value) if isinstance(value, str) else None
    return f"sha256:{match[1]}" if match else DIGEST_UNKNOWN
