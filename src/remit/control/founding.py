"""What control stands on, opened in its order: identity, what is in force, the guards, break-glass."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from remit.audit import DigestKey
from remit.config import Places, Settings
from remit.control.approval_hook import Hook
from remit.control.approvals import Approvals
from remit.control.attestor import Attestor
from remit.control.book import State
from remit.control.break_glass import BreakGlass, Deliveries
from remit.control.checking import Checking
from remit.control.condition import Condition
from remit.control.decision_zone import points
from remit.control.doors import DECISIONS
from remit.control.ended import closed_openings
from remit.control.fence import Fence
from remit.control.fencing import Fencing
from remit.control.gateway_link import GatewayLink
from remit.control.governance import Governance
from remit.control.grading import Grading
from remit.control.guards import Guards
from remit.control.identity_source import IdentitySource
from remit.control.kept_authority import KeptAuthority
from remit.control.logs_word import LogsWord
from remit.control.outside_spire import OutsideSpire
from remit.control.own_authority import OwnAuthority
from remit.control.own_log import OwnLog
from remit.control.realm import PoliciesInForce, Realm
from remit.control.serving_tokens import token_address
from remit.control.watches import Watches
from remit.control.workers import Workers
from remit.errors import AuditError
from remit.identity import SpiffeId
from remit.inventory import Probe
from remit.models import Hasher, KeptDigests
from remit.persons.break_glass import MAX_SECONDS
from remit.persons.openings_book import OpeningsBook
from remit.persons.sealing import DIRECTORY
from remit.policy.link import AskPeople, Observed
from remit.policy.observing import OBSERVE

Say = Callable[[dict[str, Any]], None]


def open_approvals(
    places: Places, settings: Settings, realm: Realm, link: GatewayLink, watches: Watches, say: Say
) -> Approvals:
    """What asks people, and answers gateways. Raises StateError where what was kept can't be read."""
    key = DigestKey.open(places.state / "digest.key")
    hook = Hook(settings.approvals.webhook, lambda text: say({"event": "note", "text": text}))
    approvals = Approvals(realm, settings.approvals, key.digest, say, hook.tell)
    approvals.take_up()
    link.answers[AskPeople] = approvals.answer
    watches.spawn(hook.mind())
    watches.spawn(approvals.mind())
    return approvals


@dataclass(frozen=True, slots=True)
class Tools:
    """What `app` gives the daemon from rooms that control may not enter. `worker` is the module of a gateway."""

    state: State
    probe: Probe
    worker: str
    spire: OutsideSpire | None = None
    attestor: Attestor | None = None
    checking: Checking = field(default_factory=Checking)
    fence: Fence | None = None


def open_source(places: Places, settings: Settings, domain: str, tools: Tools, log: OwnLog) -> IdentitySource:
    """An outside SPIRE where there is one, else Remit's own authority."""
    if tools.spire is not None:
        tools.spire.record(log.act)
        return tools.spire
    path = places.state / "keys" / "authority.json"
    kept = KeptAuthority(path, domain, settings.authority, log.act, time.time)
    return OwnAuthority(kept, settings.oidc.issuer, token_address(settings))


async def open_realm(
    source: IdentitySource,
    tools: Tools,
    log: OwnLog,
    policies: PoliciesInForce,
    *,
    said: LogsWord,
    settings: Settings,
    condition: Condition,
    governance: Governance,
    note: Callable[[str], None],
) -> Realm:
    """What is in force, as the state has it and as the log says of what ended meanwhile."""
    ended = said.ended(time.time())
    realm = Realm(
        source.trust(),
        tools.state,
        log.act,
        time.time,
        policies,
        lifetime=settings.snapshot_seconds,
        grade=condition.grade,
        ended=ended,
        withheld=said.withheld(),
    )
    realm.observing = settings.policy.mode == OBSERVE
    realm.facts = lambda: condition.true(realm.workloads.values())
    realm.own_again(said.owners())
    realm.marks.again(said.marked(time.time()))
    await governance.meet_all(realm, note)
    await realm.put_policies(policies)  # on record from the start: which set decides, and who signed it
    await realm.tasking.record_ends(ended)
    return realm


def open_guards(
    places: Places,
    settings: Settings,
    tools: Tools,
    governance: Governance,
    *,
    realm: Realm,
    workers: Workers,
    hasher: Callable[[Hasher], Hasher],
    watches: Watches,
    deliver: Deliveries,
    say: Say,
) -> Guards:
    """What finds and guards servers. `hasher` takes the process that reads weights, to end it in time."""
    kept = KeptDigests(places.state / "cache" / "weights.json", (places.state / "digest.key").read_bytes())
    return Guards(
        realm=realm,
        workers=workers,
        hasher=hasher(Hasher(kept)),
        probe=tools.probe,
        settings=settings,
        run=places.run,
        own_paths=frozenset({str(places.api_socket), str(places.workload_api_socket)}),
        owner=governance.owner.name,
        whose=lambda uid: governance.whose(realm, uid),
        mode=places.socket_mode,
        by_uid=places.shared,
        deliver=deliver,
        say=say,
        spawn=watches.spawn,
    )


def open_grading(
    settings: Settings,
    tools: Tools,
    *,
    realm: Realm,
    condition: Condition,
    workers: Workers,
    doors: Callable[[], Iterable[Mapping[str, str]]],
    shared: bool,
    say: Say,
    note: Callable[[str], None],
) -> Grading:
    """What closes the direct ways to guarded servers, and minds the grade. `doors` are Remit's own: never closed."""

    def own() -> frozenset[int]:
        every = (urlsplit(address).port for one in doors() for address in one.values())
        return frozenset(port for port in every if port is not None)

    fencing = Fencing(tools.fence, settings.guard.raw_ports, realm.workloads, own, note)
    if shared:
        condition.closing = fencing.closing
    return Grading(realm, condition, fencing, workers, say)


def open_break_glass(
    places: Places, realm: Realm, deliver: Deliveries, say: Say, note: Callable[[str], None]
) -> BreakGlass:
    """What was open when control was killed is open until its limit, unless the log says it was closed."""
    book = OpeningsBook(places.state / DIRECTORY)
    glass = BreakGlass(book, realm, deliver, say)
    glass.log, glass.shared = places.audit, places.shared
    try:
        glass.take_up(closed_openings(places.audit, time.time() - MAX_SECONDS))
    except AuditError as error:
        note(f"break-glass stays closed, as the log does not say whether it was: {error}")
    return glass


def open_link(
    places: Places,
    settings: Settings,
    tools: Tools,
    *,
    realm: Realm,
    log: OwnLog,
    model_lost: Callable[[SpiffeId], None],
    broken: Callable[[BaseException], None],
    say: Say,
) -> tuple[GatewayLink, Workers]:
    """The way to the gateways, and what answers what they ask."""
    link = GatewayLink(places, settings.gateway, realm.trust.domain, log, realm.workloads, say, model_lost)
    link.points = points(settings.decisions, realm.trust.domain)
    workers = Workers(tools.worker, link, broken, places.run)
    workers.attestor = tools.attestor
    realm.spending.answer(link)
    realm.words.tell = lambda said: workers.send(DECISIONS, said)
    workers.words = realm.words.all
    realm.marks.answer(link, lambda: workers.deliver(realm.snapshot()))
    link.takes[Observed] = realm.would_refuse.take
    return link, workers
