"""What every dialect can do, and the words they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from remit.errors import ProtocolError
from remit.gateway.dialects.stream import StreamReader
from remit.gateway.prompt_cache import CachePlan
from remit.gateway.routes import Route

JsonObject: TypeAlias = dict[str, Any]


class FieldError(ProtocolError):
    """A request's field can't be forwarded as it is. `rule` is `bad-field` or `forbidden-field`."""

    def __init__(self, message: str, *, name: str, rule: str = "bad-field", hint: str = "") -> None:
        super().__init__(message, status=400, hint=hint)
        self.name = name
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself: the model it names, if any, and whether it wants a stream."""

    model: str | None
    stream: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal in the words of the gateway. `code` is short (`no-permit`), `policies` are `id (file:line)`.

    `approval` is the id under which people are asked, where they are.
    """

    status: int
    code: str
    message: str
    hint: str = ""
    decision_id: str = ""
    rule: str = ""
    policies: tuple[str, ...] = ()
    approval: str = ""

    def details(self) -> dict[str, Any]:
        """What every dialect adds to its own error shape."""
        said = {"hint": self.hint, "decision": self.decision_id, "rule": self.rule, "policies": list(self.policies)}
        said["approval"] = self.approval
        return {name: value for name, value in said.items() if value}


class Dialect(Protocol):
    """One protocol spoken by model servers. All of it is pure: values in, values or ProtocolError out."""

    def asked(self, route: Route, body: JsonObject | None, query: Mapping[str, str]) -> Asked:
        """Read the request; raises FieldError naming the field whose type is wrong."""
        ...

    def forward(self, route: Route, body: JsonObject | None, cache: CachePlan) -> JsonObject | None:
        """The body to send upstream; raises FieldError for what may not be sent."""
        ...

    def reply(self, route: Route, value: Any, masked: bool) -> Any:
        """A whole answer without what would tell of other callers; `masked`: something in this call was masked."""
        ...

    def events(self, route: Route) -> StreamReader:
        """A fresh reader for one streamed answer."""
        ...

    def refusal(self, refusal: Refusal) -> tuple[int, bytes]:
        """Status and body of a refusal in this dialect's own error shape."""
        ...

    def stream_error(self, refusal: Refusal) -> bytes:
        """The same as bytes that end a stream already begun."""
        ...
