"""Who may, on what, and what: each candidate that is known is decided as an evaluation would be, and one page told.

A search lets nothing happen: it is on record as one, with how many were found, and not by each candidate.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.audit import Act
from remit.errors import AttestationError, ProtocolError
from remit.gateway.call import decision_id
from remit.gateway.decisions.about import HUMAN, WORKLOAD, NotYoursError
from remit.gateway.decisions.asked import asked, kind_of
from remit.gateway.decisions.authzen import MAX_WEIGHT, Entity, Evaluation, evaluation, weight
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.decisions.verbatim import check_unmasked
from remit.identity import Caller
from remit.policy import Action, RefusedError
from remit.policy.thing import ThingKind

MOST_TRIED: Final = 2_000  # candidates of one page: about 60 µs each
MOST_FOUND: Final = 1_000
_TOKEN: Final = re.compile(r"[0-9]{0,9}")
BETWEEN: Final = 50  # candidates decided before others have their turn
_KINDS: Final = {
    kind.value.lower(): kind for kind in ThingKind if kind not in {ThingKind.RESOURCE, ThingKind.SUBJECT}
}

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the results is wanted: after the first `after` candidates, at most `limit`."""

    after: int
    limit: int


async def search_subjects(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> Answer:
    """Who may do it (section 8.4); only a registered point may ask."""
    if not decisions.is_point(caller):
        raise NotYoursError("only a registered enforcement point may search for others")
    said = evaluation(body, without="subject")
    rows = [(replace(said, subject=one), _shown(one)) for one in _subjects(said.subject.type, decisions)]
    return await _found("subject", rows, body, caller, decisions)


async def search_resources(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> Answer:
    """On what it may be done (section 8.5)."""
    said = evaluation(body, without="resource")
    rows = [(replace(said, resource=one), _shown(one)) for one in _resources(said.resource, decisions)]
    return await _found("resource", rows, body, caller, decisions)


async def search_actions(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> Answer:
    """What may be done (section 8.6): of Remit's own actions, and of those that policies name."""
    said = evaluation(body, without="action")
    own = [action.value for action in Action if kind_of(action) == said.resource.type]
    names = own or decisions.access_names()
    rows = [(replace(said, action=name), {"name": name}) for name in names]
    return await _found("action", rows, body, caller, decisions)


def _subjects(kind: str, decisions: Decisions) -> Iterator[Entity]:
    snapshot = decisions.zone.snapshot
    if kind == HUMAN:
        yield from (Entity(kind, human.name) for human in snapshot.humans)
    elif kind == WORKLOAD:
        yield from (Entity(kind, str(one.spiffe_id)) for one in snapshot.workloads)
    else:
        yield from _listed(ThingKind.SUBJECT, kind, decisions)


def _resources(said: Entity, decisions: Decisions) -> Iterator[Entity]:
    if said.type == WORKLOAD:
        yield from (Entity(WORKLOAD, str(one.spiffe_id)) for one in decisions.zone.snapshot.workloads)
    elif (kind := _KINDS.get(said.type)) is not None:
        things = decisions.zone.engine.in_force.world.things
        yield from (Entity(said.type, name) for of, name in things if of is kind)
    else:
        yield from _listed(ThingKind.RESOURCE, said.type, decisions)


def _listed(kind: ThingKind, of_type: str, decisions: Decisions) -> Iterator[Entity]:
    start = f"{of_type}/"
    things = decisions.zone.engine.in_force.world.things
    yield from (Entity(of_type, name[len(start) :]) for of, name in things if of is kind and name.startswith(start))


async def _found(
    what: str,
    rows: list[tuple[Evaluation, dict[str, str]]],
    body: Mapping[str, Any],
    caller: Caller,
    decisions: Decisions,
) -> Answer:
    page = _page(body)
    found: list[dict[str, str]] = []
    tried, each = page.after, weight(rows[0][0]) if rows else 1
    most = max(1, min(MOST_TRIED, MAX_WEIGHT // each))  # a long context counts for each candidate
    for said, shown in rows[page.after : page.after + most]:
        if len(found) == page.limit:
            break
        if _may(said, caller, decisions):
            found.append(shown)
        tried += 1
        if tried % BETWEEN == 0:
            await asyncio.sleep(0)
    await _recorded(what, tried - page.after, len(found), caller, decisions)
    return {"results": found, "page": {"next_token": str(tried) if tried < len(rows) else "", "count": len(found)}}


def _may(said: Evaluation, caller: Caller, decisions: Decisions) -> bool:
    """Whether it would be allowed now; what takes an approval isn't yet. Raises NotYoursError."""
    zone = decisions.zone
    try:
        intent = asked(said, caller, decisions).intent
        check_unmasked(intent, zone.engine.decide(intent, zone.clock(), decision_id(zone.clock())))
    except NotYoursError:
        raise
    except (RefusedError, ProtocolError, AttestationError):
        return False
    return True


def _page(body: Mapping[str, Any]) -> Page:
    said = body.get("page", {})
    if not isinstance(said, dict):
        raise ProtocolError("`page` is not an object")
    token, limit = said.get("token", said.get("next_token", "")), said.get("limit", MOST_FOUND)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ProtocolError("`page.token` is none that was given here")
    if type(limit) is not int or limit < 1:
        raise ProtocolError("`page.limit` is not a number from 1")
    return Page(int(token or 0), min(limit, MOST_FOUND))


def _shown(one: Entity) -> dict[str, str]:
    return {"type": one.type, "id": one.id}


async def _recorded(what: str, tried: int, found: int, caller: Caller, decisions: Decisions) -> None:
    zone = decisions.zone
    by = str(caller.spiffe_id) if caller.enrolled else ""
    facts = {"for": what, "tried": tried, "found": found, "workload": by, "policy_set": zone.snapshot.policy_set}
    act = Act("decisions.searched", what, caller.person, zone.clock(), zone.monotonic(), facts)
    await zone.audit.record(act, b"")
