"""AuthZEN 1.0's messages: what comes in, read strictly where a decision hangs on it, and what goes out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from remit.errors import ProtocolError

MAX_EVALUATIONS: Final = 256  # in one request
# Bytes of all questions of one request together. Where the values of arguments came from takes 0.3 µs a byte, on the
# event loop: what several questions have in common counts for each of them.
MAX_WEIGHT: Final = 1 << 20
MAX_ID: Final = 512  # characters of a type, an id or a name
SEMANTICS: Final = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")
_PARTS: Final = ("subject", "action", "resource", "context")
_REQUIRED: Final = {"subject": ("type", "id"), "action": ("name",), "resource": ("type", "id")}
# Drafts before 1.0 had properties beside these, and `identity` for the subject's id.
_OWN: Final = frozenset({"type", "id", "name", "properties", "identity"})

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entity:
    """A subject or a resource, and what the point says of it. `id` is empty where a search leaves it open."""

    type: str
    id: str
    properties: Json = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One question. `action` is empty in a search for actions."""

    subject: Entity
    action: str
    says: Json
    resource: Entity
    context: Json


@dataclass(frozen=True, slots=True)
class Batch:
    """Several questions; those that can't be read are the error that says why."""

    evaluations: tuple[Evaluation | ProtocolError, ...]
    semantic: str


def evaluation(body: Json, *, without: str = "") -> Evaluation:
    """One question; raises ProtocolError. `without` is the part whose name a search leaves open."""
    if (weight := _weight(body, {})) > MAX_WEIGHT:
        raise _too_much(weight)
    return _read(body, without)


def _read(body: Json, without: str = "") -> Evaluation:
    subject = _entity(body, "subject", open_ended=without == "subject")
    resource = _entity(body, "resource", open_ended=without == "resource")
    action = {} if without == "action" else _object(body, "action")
    name = "" if without == "action" else _text(action, "name", "action")
    context = body.get("context", {})
    if not isinstance(context, dict):
        raise ProtocolError("`context` is not an object")
    return Evaluation(subject, name, _properties(action, "action"), resource, context)


def batch(body: Json) -> Batch | None:
    """Several questions with common parts; None where there is but one. Raises ProtocolError for the whole.

    A part of one replaces the common one, but for what it must have and has not.
    """
    listed = body.get("evaluations", [])
    if not isinstance(listed, list):
        raise ProtocolError("`evaluations` is not a list")
    if not listed:
        return None
    if len(listed) > MAX_EVALUATIONS:
        raise ProtocolError(f"more than {MAX_EVALUATIONS} evaluations in one request", status=413)
    options = body.get("options", {})
    semantic = options.get("evaluations_semantic", SEMANTICS[0]) if isinstance(options, dict) else None
    if semantic not in SEMANTICS:
        raise ProtocolError("`options.evaluations_semantic` is none of " + ", ".join(SEMANTICS))
    parts = [_parts(body, each) if isinstance(each, dict) else None for each in listed]
    sizes: dict[int, int] = {}
    if (together := sum(_weight(one, sizes) for one in parts if one is not None)) > MAX_WEIGHT:
        raise _too_much(together)
    return Batch(tuple(_one(each) for each in parts), semantic)


def weight(said: Evaluation) -> int:
    """Bytes of one question, at least 1."""
    parts = (said.subject.properties, said.says, said.resource.properties, said.context)
    return 1 + sum(len(orjson.dumps(part)) for part in parts)


def _weight(parts: Json, sizes: dict[int, int]) -> int:
    """`sizes` are those of parts that several questions have in common."""
    total = 0
    for name in _PARTS:
        part = parts.get(name)
        if id(part) not in sizes:
            sizes[id(part)] = len(orjson.dumps(part))
        total += sizes[id(part)]
    return total


def _too_much(weight: int) -> ProtocolError:
    return ProtocolError(
        f"the questions of one request have {weight:,} bytes together, and at most {MAX_WEIGHT:,} are looked through",
        status=413,
        hint="ask in several requests, each with what it is about",
    )


def _parts(common: Json, own: Json) -> Json:
    return {part: _with(common.get(part), own.get(part), part) for part in _PARTS}


def _one(parts: Json | None) -> Evaluation | ProtocolError:
    if parts is None:
        return ProtocolError("an evaluation is not an object")
    try:
        return _read(parts)
    except ProtocolError as error:
        return error


def _with(common: Any, own: Any, part: str) -> Any:
    if own is None:
        return {} if common is None and part == "context" else common
    if not isinstance(own, dict) or not isinstance(common, dict):
        return own
    return {**{key: common[key] for key in _REQUIRED.get(part, ()) if key in common}, **own}


def _entity(body: Json, part: str, *, open_ended: bool) -> Entity:
    said = _object(body, part)
    name = "" if open_ended else _text(said, "id", part)
    return Entity(_text(said, "type", part), name, _properties(said, part))


def _object(body: Json, part: str) -> Json:
    said = body.get(part)
    if not isinstance(said, dict):
        raise ProtocolError(f"`{part}` is missing or not an object")
    return said


def _text(said: Json, key: str, part: str) -> str:
    value = said.get(key, said.get("identity") if key == "id" and part == "subject" else None)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        raise ProtocolError(f"`{part}.{key}` is missing or not a text of at most {MAX_ID} characters")
    return value


def _properties(said: Json, part: str) -> Json:
    properties = said.get("properties", {})
    if not isinstance(properties, dict):
        raise ProtocolError(f"`{part}.properties` is not an object")
    return {**{key: value for key, value in said.items() if key not in _OWN}, **properties}


def metadata(base: str) -> dict[str, str]:
    """The discovery document (section 9) of a decision point at this address."""
    return {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "search_subject_endpoint": f"{base}/access/v1/search/subject",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
    }
