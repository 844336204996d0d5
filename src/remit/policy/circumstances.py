"""What a decision depends on besides who asks for what: time, presence, flow, arguments, destination, delegation."""

from dataclasses import dataclass
from typing import Any, Final

from remit.identity import SpiffeId
from remit.policy.access import Access

Json = dict[str, Any]
PRESENCES: Final = ("here", "away", "unknown")
INFERENCE: Final = "inference"


@dataclass(frozen=True, slots=True)
class Moment:
    """The machine's clock in its own zone. `weekday`: Monday is 1."""

    hour: int = 0
    weekday: int = 1

    def to_json(self) -> Json:
        return {"hour": self.hour, "weekday": self.weekday}


@dataclass(frozen=True, slots=True)
class Arguments:
    """Classes of a call's arguments by where their values came from; each sorted, so that equal ones are equal."""

    classes: tuple[str, ...] = ()
    human: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    claimed: tuple[str, ...] = ()
    untrusted: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    def to_json(self) -> Json:
        return {
            "classes": list(self.classes),
            "human": list(self.human),
            "trusted": list(self.trusted),
            "claimed": list(self.claimed),
            "untrusted": list(self.untrusted),
            "unseen": list(self.unseen),
        }


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What came into the task so far. `high` is a rank: 0 public to 3 restricted."""

    high: int = 0
    untrusted: bool = False
    did: tuple[str, ...] = ()

    def to_json(self) -> Json:
        return {"high": self.high, "untrusted": self.untrusted, "did": list(self.did)}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All of them. `presence` is one of PRESENCES; `facts` are the true ones of the endpoint, sorted.

    `destination` is the id of a listed Destination, `unknown` for one that is not. `chain` are the workloads that
    the task passed through. `access` is what an enforcement point asks in its own words. Those that are None are not
    in the context at all: a policy asks `context has …` first.
    """

    moment: Moment = Moment()
    presence: str = "unknown"
    facts: tuple[str, ...] = ()
    zone: str = INFERENCE
    args: Arguments | None = None
    flow: FlowFacts | None = None
    destination: str | None = None
    chain: tuple[SpiffeId, ...] = ()
    access: Access | None = None

    @property
    def size(self) -> int:
        """Characters that are somebody else's choice: an enforcement point's, and those of a task that did much."""
        done = sum(map(len, self.flow.did)) if self.flow is not None else 0
        return done + (self.access.size if self.access is not None else 0)

    def to_json(self) -> Json:
        """Its part of the context of the schema's `Call`."""
        said: Json = {
            "facts": list(self.facts),
            "presence": self.presence,
            "time": self.moment.to_json(),
            "zone": _entity("Zone", self.zone),
        }
        if self.args is not None:
            said["args"] = self.args.to_json()
        if self.flow is not None:
            said["flow"] = self.flow.to_json()
        if self.destination is not None:
            said["destination"] = _entity("Destination", self.destination)
        if self.access is not None:
            said["access"] = self.access.to_json()
        if self.chain:
            chain = [_entity("Workload", str(actor)) for actor in self.chain]
            said["delegation"] = {"depth": len(self.chain), "chain": chain}
        return said


NONE: Final = Circumstances()


def _entity(kind: str, name: str) -> Json:
    return {"__entity": {"type": kind, "id": name}}
