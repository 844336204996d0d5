"""The link's messages as JSON objects, and back: only `decode` makes a message of what came in, so that nobody asks
again whether a field is there.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from remit.config import GatewaySettings
from remit.errors import ProtocolError, RemitError
from remit.identity import SpiffeId
from remit.policy.intent import Action
from remit.policy.link import MESSAGES, DoorKind, Message, Skin, name_of
from remit.policy.snapshot import Snapshot
from remit.secret import Secret

_Plain = TypeVar("_Plain")

_FIELDS: Final[dict[Any, dict[str, Any]]] = {
    kind: get_type_hints(kind) for kind in (*MESSAGES.values(), GatewaySettings, Snapshot)
}


def encode(message: Message) -> dict[str, Any]:
    """The JSON object of a message. It opens the secrets in it: for the link alone."""
    return {"type": name_of(message), **_written(message)}


def decode(row: Mapping[str, Any]) -> Message:
    """The message that a JSON object is; raises ProtocolError for one of no known type, or with other fields."""
    name = row.get("type")
    kind = MESSAGES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ProtocolError(f"no link message is called `{str(name)[:40]}`")
    message: Message = _parsed(kind, {field: value for field, value in row.items() if field != "type"}, f"`{name}`")
    return message


def _written(value: Any) -> dict[str, Any]:
    return {field: _FORMS[hint].write(getattr(value, field)) for field, hint in _FIELDS[type(value)].items()}


def _parsed(kind: Any, row: Any, where: str) -> Any:
    hints = _FIELDS[kind]
    if type(row) is not dict or row.keys() != hints.keys():
        raise ProtocolError(f"the link message {where} has other fields than {', '.join(hints) or 'none'}")
    return kind(**{field: _read(hint, row[field], f"{where}: `{field}`") for field, hint in hints.items()})


def _read(hint: Any, value: Any, where: str) -> Any:
    form = _FORMS[hint]
    try:
        return form.read(value)
    except ProtocolError:
        raise  # one of ours, about a field within
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RemitError):
        # neither the value nor what was said of it: it may be a secret
        raise ProtocolError(f"the link message {where} is not {form.called}") from None


@dataclass(frozen=True, slots=True)
class _Form:
    """How a field's type looks in JSON: what `read` takes is what `write` gives."""

    called: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def _only(kind: type[_Plain]) -> Callable[[Any], _Plain]:
    """Takes a value of exactly this type: True is no number, 1 is no text."""

    def read(value: Any) -> _Plain:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


_text = _only(str)
_object = _only(dict)
_list = _only(list)


def _number(value: Any) -> float:
    if type(value) not in {int, float} or not math.isfinite(value):
        raise TypeError
    return float(value)


def _snapshot(value: Any) -> Snapshot:
    """A Snapshot; its own parser reads what is nested in it, and takes the plain fields as they are."""
    for field, hint in _FIELDS[Snapshot].items():
        if hint in {int, float, str}:
            _FORMS[hint].read(value[field])
    return Snapshot.from_dict(value)


_FORMS: Final[dict[Any, _Form]] = {
    str: _Form("text", _text, str),
    bool: _Form("true or false", _only(bool), bool),
    int: _Form("a whole number", _only(int), int),
    float: _Form("a number", _number, float),
    bytes: _Form("hexadecimal text", bytes.fromhex, bytes.hex),
    Path: _Form("a path", lambda value: Path(_text(value)), str),
    Secret: _Form("a secret", lambda value: Secret(_text(value)), Secret.reveal),
    SpiffeId: _Form("a SPIFFE ID", lambda value: SpiffeId.parse(_text(value)), str),
    tuple[SpiffeId, ...]: _Form(
        "a list of SPIFFE IDs",
        lambda value: tuple(SpiffeId.parse(_text(one)) for one in _list(value)),
        lambda ids: [str(one) for one in ids],
    ),
    DoorKind: _Form("a kind of door", DoorKind, str),
    Skin: _Form("what is spoken at a door", Skin, str),
    Action: _Form("an action", Action, str),
    Snapshot: _Form("a snapshot", _snapshot, Snapshot.to_dict),
    GatewaySettings: _Form(
        "the gateway's settings", lambda value: _parsed(GatewaySettings, value, "`settings`"), _written
    ),
    dict[str, Any]: _Form("an object", _object, dict),
    dict[str, Secret]: _Form(
        "an object of secrets",
        lambda value: {name: Secret(_text(one)) for name, one in _object(value).items()},
        lambda held: {name: one.reveal() for name, one in held.items()},
    ),
}
