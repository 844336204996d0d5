"""What a person declares of a workload: that it is, by its selectors, and what nobody can find out of it; pure."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from remit.config import ENVIRONMENTS
from remit.detect import Label
from remit.errors import IdentityError, UsageError
from remit.identity import SpiffeId
from remit.inventory.enrolment import MAX_NAME
from remit.inventory.selectors import REGISTERED, check_registration
from remit.inventory.workload import Capability, Kind, LifeState, Workload

ZONES: Final = ("inference", "retrieval", "tools")
LABELS: Final = tuple(label.value for label in Label if label is not Label.UNTRUSTED)
MAX_TEXT: Final = 200  # characters of a purpose, a vendor, a data set's name
MAX_MANY: Final = 32  # selectors, or data sets

# Where a workload of each kind stands in the trust domain, and the zone it is in unless somebody says otherwise.
PLACES: Final = {
    Kind.MODEL_SERVER: ("inference", "inference"),
    Kind.RETRIEVER: ("retrieval", "retrieval"),
    Kind.TOOL_SERVER: ("tools", "tools"),
    Kind.AGENT: ("agent", "tools"),
    Kind.PIPELINE: ("pipeline", "tools"),
}

_ACT, _STORE, _DISCLOSE = Capability.ACT, Capability.STORE, Capability.DISCLOSE
# What each kind does by being one. Nothing else is known of a registered workload: what it may be able to do counts.
_OF_KIND: Final = {
    Kind.MODEL_SERVER: {_STORE, _DISCLOSE},
    Kind.RETRIEVER: {_STORE, _DISCLOSE},
    Kind.TOOL_SERVER: {_ACT, _DISCLOSE},
    Kind.AGENT: {_ACT, _STORE, _DISCLOSE},
    Kind.PIPELINE: {_ACT, _STORE, _DISCLOSE},
}

Declared = Mapping[str, Any]  # of the FIELDS below, those that are said
FIELDS: Final = ("purpose", "vendor", "data_sets", "environment", "zone", "label", "review_due")


def register(
    name: str,
    kind: str,
    selectors: Iterable[str],
    declared: Declared,
    *,
    trust_domain: str,
    environment: str,
    known: Collection[Workload],
    now: float,
) -> Workload:
    """A discovered workload that any process with all these selectors is; `now` is Unix seconds.

    `environment` is what it is in unless `declared` says so. Raises UsageError for a name, a kind or a fact that
    can't be taken, SelectorsError for selectors that no process has, or one that is another workload could have.
    """
    what, selectors = _kind(kind), tuple(dict.fromkeys(selectors))
    segment, zone = PLACES[what]
    spiffe_id = _spiffe_id(trust_domain, segment, name)
    _check_free(name, spiffe_id, known)
    if len(selectors) > MAX_MANY:
        raise UsageError(f"a workload has {MAX_MANY} selectors at most")
    check_registration(spiffe_id, selectors, known)
    workload = Workload(
        spiffe_id=spiffe_id,
        name=name,
        kind=what,
        owner="",
        server="",
        upstream="",
        reach="private",
        capabilities=(),
        environment=environment,
        zone=zone,
        selectors=selectors,
        found=REGISTERED,
        enrolled_at=now,
        state=LifeState.DISCOVERED,
        state_since=now,
    )
    return declare(workload, declared)


def declare(workload: Workload, declared: Declared) -> Workload:
    """`workload` with what is declared of it, and the class that follows; raises UsageError for what can't be."""
    if unknown := [field for field in declared if field not in FIELDS]:
        raise UsageError(f"`{unknown[0]}` is no fact that can be declared", hint=f"known are {', '.join(FIELDS)}")
    facts = {field: _checked(field, value) for field, value in declared.items()}
    workload = dataclasses.replace(workload, **facts)
    return dataclasses.replace(workload, capabilities=capabilities(workload))


def capabilities(workload: Workload) -> tuple[Capability, ...]:
    """What it can do, by what it is: who has data sets stores and shows them, who is in the zone of tools acts."""
    can = set(_OF_KIND[workload.kind])
    if workload.data_sets:
        can |= {_STORE, _DISCLOSE}
    if workload.zone == "tools":
        can |= {_ACT}
    return tuple(one for one in Capability if one in can)


def changed(before: Workload, after: Workload) -> dict[str, list[Any]]:
    """Which declared facts differ, each as [was, is]; and the class, if that follows."""
    old, new = before.to_dict(), after.to_dict()
    fields = {**dict.fromkeys(FIELDS), "capabilities": None}
    return {field: [old[field], new[field]] for field in fields if old[field] != new[field]}


def overdue(workload: Workload, now: float) -> bool:
    """Whether its owner should have looked at it again by `now` (Unix seconds)."""
    ended = workload.state is LifeState.RETIRED
    return not ended and workload.review_due is not None and workload.review_due < now


def _check_free(name: str, spiffe_id: SpiffeId, known: Iterable[Workload]) -> None:
    taken = next((one for one in known if one.name == name or one.spiffe_id == spiffe_id), None)
    if taken is None:
        return
    if taken.state is LifeState.RETIRED:
        raise UsageError(
            f"a workload was called `{name}`, and its name is not given again", hint="choose another name"
        )
    raise UsageError(f"a workload is called `{name}` already", hint="`remit workload list` shows what is known")


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError as error:
        raise UsageError(f"`{text}` is no kind of workload", hint=f"kinds are {', '.join(Kind)}") from error


def _spiffe_id(trust_domain: str, segment: str, name: str) -> SpiffeId:
    """Its ID, with the name as the last segment; a number would be a pid for `remit whois`."""
    hint = f"use at most {MAX_NAME} letters, digits, `.`, `-` and `_`, and not digits alone"
    if not name or len(name) > MAX_NAME or name.isdecimal():
        raise UsageError(f"`{name}` can't be a workload's name", hint=hint)
    try:
        return SpiffeId.of(trust_domain, segment, name)
    except IdentityError as error:
        raise UsageError(f"`{name}` can't be a workload's name", hint=hint) from error


def _checked(field: str, value: Any) -> Any:
    if field == "review_due":
        return None if value is None else float(value)
    if field == "data_sets":
        return tuple(dict.fromkeys(_text(field, one) for one in value if one))
    if field == "label":
        return Label(_one_of(field, value, LABELS))
    if field == "environment":
        return _one_of(field, value, tuple(ENVIRONMENTS))
    return _one_of(field, value, ZONES) if field == "zone" else _text(field, value)


def _one_of(field: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"`{value}` is no {field} known here", hint=f"known are {', '.join(known)}")
    return value


def _text(field: str, value: str) -> str:
    if len(value) > MAX_TEXT or not value.isprintable():
        raise UsageError(
            f"a {field.replace('_', ' ').rstrip('s')} is too long or has control characters",
            hint=f"up to {MAX_TEXT} in one line",
        )
    return value
