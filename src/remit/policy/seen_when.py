"""In which circumstances something was let happen each time: conditions for what is learned of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.policy.quoting import quoted

DOUBTED: Final = ("claimed", "untrusted", "unseen")
_DAY: Final = 24

Facts = Mapping[str, Any]


@dataclass(slots=True)
class SeenWhen:
    """What `kept` wrote of all of them. Where one record tells nothing of something, no condition is made of it."""

    hours: set[int] = field(default_factory=set)
    weekdays: set[int] = field(default_factory=set)
    timed: bool = True
    here: bool = True
    args: dict[str, set[str]] = field(default_factory=dict)
    with_args: bool = True
    high: int = 0
    untrusted: bool = False
    with_flow: bool = True
    destinations: set[str | None] = field(default_factory=set)

    def add(self, facts: Facts) -> None:
        """One more record's facts."""
        moment, args, flow = facts.get("time"), facts.get("args"), facts.get("flow")
        self.timed &= moment is not None
        if moment is not None:
            self.hours.add(int(moment["hour"]))
            self.weekdays.add(int(moment["weekday"]))
        self.here &= facts.get("presence") == "here"
        self.with_args &= args is not None
        if args is not None:
            for standing in DOUBTED:
                self.args.setdefault(standing, set()).update(args[standing])
        self.with_flow &= flow is not None
        if flow is not None:
            self.high, self.untrusted = max(self.high, int(flow["high"])), self.untrusted or bool(flow["untrusted"])
        self.destinations.add(facts.get("destination"))

    def conditions(self) -> list[str]:
        """In Cedar."""
        return [*self._when(), *self._which(), *self._after(), *self._where()]

    def _when(self) -> list[str]:
        found = []
        if self.timed and len(self.hours) < _DAY:
            found.append(f"context.time.hour >= {min(self.hours)} && context.time.hour <= {max(self.hours)}")
        if self.timed:
            found.append(f"{sorted(self.weekdays)}.contains(context.time.weekday)")
        return [*found, 'context.presence == "here"'] if self.here else found

    def _which(self) -> list[str]:
        if not self.with_args:
            return []
        each = [_within(f"context.args.{standing}", self.args[standing]) for standing in DOUBTED]
        return ["context has args", *each]

    def _after(self) -> list[str]:
        if not self.with_flow:
            return []
        trusted = [] if self.untrusted else ["!context.flow.untrusted"]
        return ["context has flow", f"context.flow.high <= {self.high}", *trusted]

    def _where(self) -> list[str]:
        named = sorted(one for one in self.destinations if one is not None)
        if None in self.destinations or not named:
            return [] if named else ["!(context has destination)"]
        listed = ", ".join(f"Destination::{quoted(one)}" for one in named)
        return ["context has destination", f"[{listed}].contains(context.destination)"]


def _within(path: str, seen: set[str]) -> str:
    """No more than was seen: Cedar knows no empty set literal."""
    if not seen:
        return f"{path}.isEmpty()"
    return f"[{', '.join(quoted(one) for one in sorted(seen))}].containsAll({path})"
