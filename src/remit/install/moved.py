"""What of a user-mode instance becomes the whole machine's, judged record by record; pure.

Until now every program of its person could write all of it. So each record goes through its own parser, and nothing
is taken over that says who somebody is, what proves them, or that stands for them: that is made anew in system mode.
"""

import dataclasses
import json
import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from remit.audit.shard import SUFFIX, shard_name, writer_of
from remit.config import Places, Settings
from remit.errors import IdentityError, RemitError, StateError
from remit.identity import SpiffeId
from remit.install.moved_config import LEFT, Brought, system_text
from remit.inventory import Human, LifeState, Workload
from remit.inventory.selectors import REGISTERED
from remit.persons.shown import visible
from remit.policy import PolicyFile
from remit.policy.catalogue import NAME as CATALOGUE
from remit.policy.profiles import is_profile

META: Final = ("trust_domain", "spire_trust_domain")
_PSEUDONYM: Final = re.compile(r"p-[0-9a-f]{16}\Z")
_UID: Final = "unix:uid:"
FIRST_HUMAN_UID: Final = 1000  # login.defs(5)


@dataclass(frozen=True, slots=True)
class Ended:
    """A task or session that ends with the move. `person` is a pseudonym."""

    what: str
    id: str
    person: str | None


@dataclass(frozen=True, slots=True)
class Moved:
    """All of it; `said` is for whoever installs."""

    domain: str
    people: tuple[Human, ...]
    workloads: tuple[Workload, ...]
    meta: Mapping[str, str]
    ended: tuple[Ended, ...]
    config: str
    policies: tuple[PolicyFile, ...]
    brought: tuple[Brought, ...]
    shards: tuple[tuple[str, int], ...]
    keys: tuple[str, ...]
    sequence: int | None
    said: tuple[str, ...]


def judge(facts: Mapping[str, Any], settings: Settings, person: pwd.struct_passwd, now: float) -> Moved:
    """What moves, of what `users_own.Told` told; `now` is Unix seconds. Raises StateError for what can't.

    1. nothing waits for a person's word there
    2. one trust domain, and everybody's names for the log's pseudonyms; whose account is whose the machine says
    3. workloads, those that are the person's own; they stay theirs
    4. the rest is ended, or left, and said
    """
    # 1
    if facts["unreviewed"]:
        raise StateError(
            f"an opening of break-glass was not reviewed: {', '.join(facts['unreviewed'])}",
            hint="`remit break-glass review ID --note TEXT` first, there",
        )
    # 2
    try:
        rows = facts["rows"]
        meta = {row["key"]: str(row["value"]) for row in rows.get("meta", ()) if row["key"] in META}
        domain = _domain(meta, settings)
        people = tuple(_people(rows["humans"], domain, person))
        names = {row["name"] for row in rows["humans"] if person.pw_uid in json.loads(row["uids"])}
        # 3
        kept = [_workload(row, domain) for row in rows["workloads"]]
        theirs = [_theirs(one, names, person, now) for one in kept if not _demonstration(one)]
        # 4
        ended = tuple(_ended(rows, {one.name: one.person for one in people}, now))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise StateError(f"the state there is not what Remit wrote ({type(error).__name__})") from error
    brought, config = system_text(settings)
    left = [one for one in theirs if not _may_move(one, person)]
    taken = tuple(one for one in theirs if one not in left)
    return Moved(
        domain,
        people,
        taken,
        meta,
        ended,
        config,
        tuple(PolicyFile(_policy(name), text) for name, text in facts["policies"]),
        brought,
        tuple((_shard(name, now), int(size)) for name, size in facts["shards"]),
        tuple(facts["keys"]),
        facts["sequence"],
        tuple(map(visible, (*_coming(taken), *_said(facts, settings, left, ended)))),
    )


def _name(name: str, suffix: str) -> str:
    """A file's name and no path; raises StateError."""
    if "/" in name or name.startswith(".") or not name.endswith(suffix):
        raise StateError(f"`{visible(name)}` there is no name of a `*{suffix}` file")
    return name


def _policy(name: str) -> str:
    """The name of a policy file, of the catalogue or of a profile; raises StateError."""
    return name if name == CATALOGUE or is_profile(name) else _name(name, ".cedar")


def _shard(name: str, now: float) -> str:
    """A shard that was begun before `now`: control reads in those begun later what holds now."""
    writer = writer_of(_name(name, SUFFIX).removesuffix(SUFFIX))
    if name.removesuffix(SUFFIX) > shard_name(writer, now):
        raise StateError(f"`{name}` of the log there was begun later than now", hint="set the clock right")
    return name


def _domain(meta: Mapping[str, str], settings: Settings) -> str:
    name = meta.get("spire_trust_domain") or settings.trust_domain or meta.get("trust_domain", "")
    return SpiffeId.of(name).trust_domain


def _people(rows: Sequence[Mapping[str, Any]], domain: str, person: pwd.struct_passwd) -> Iterator[Human]:
    """Each with their pseudonym, no account and no login; the instance's own person under their account's name."""
    known = {row["name"] for row in rows}
    for row in rows:
        own = person.pw_uid in json.loads(row["uids"]) and person.pw_name not in known
        name = person.pw_name if own else row["name"]
        if not _PSEUDONYM.match(row["person"]):
            raise ValueError(row["person"])
        SpiffeId.of(domain, "user", name)
        yield Human(name, row["person"], ())


def _workload(row: Mapping[str, Any], domain: str) -> Workload:
    record = row["record"]
    try:
        workload = Workload.from_dict(json.loads(record) if isinstance(record, str) else record)
    except RemitError as error:
        raise StateError(f"a workload there can't be taken: {error}") from error
    if workload.spiffe_id.trust_domain != domain:
        raise IdentityError(f"`{workload.spiffe_id}` is not of trust domain `{domain}`")
    if not workload.spiffe_id.path.endswith(f"/{workload.name}"):
        raise ValueError(workload.name)
    return workload


def _demonstration(workload: Workload) -> bool:
    """Remit's own server: system mode starts another, under its own uid."""
    return workload.demonstration and workload.state is not LifeState.RETIRED


def _theirs(workload: Workload, names: set[str], person: pwd.struct_passwd, now: float) -> Workload:
    """As it is from now on; what was registered for no uid is of its person's own from now on."""
    owner = person.pw_name if workload.owner in names else workload.owner
    workload = dataclasses.replace(workload, owner=owner, pid=None, start=None)
    if workload.state is LifeState.RETIRED:
        return workload
    selectors = workload.selectors
    if workload.found == REGISTERED and not any(one.startswith(_UID) for one in selectors):
        selectors = (f"{_UID}{person.pw_uid}", *selectors)
    return dataclasses.replace(workload, state_since=now, selectors=selectors)


def _may_move(workload: Workload, person: pwd.struct_passwd) -> bool:
    """Whether a person could govern it in system mode without an administrator: it is nobody else's.

    A server that was found and runs as a system account, such as `ollama`, is taken along: root sees that it is.
    """
    if person.pw_uid == 0 or workload.state is LifeState.RETIRED:
        return True
    if workload.found != REGISTERED:
        uid = workload.uid
        return workload.owner == person.pw_name and (uid is None or uid == person.pw_uid or uid < FIRST_HUMAN_UID)
    uids = {one for one in workload.selectors if one.startswith(_UID)}
    return workload.owner == person.pw_name and uids == {f"{_UID}{person.pw_uid}"}


def _ended(rows: Mapping[str, Any], people: Mapping[str, str], now: float) -> Iterator[Ended]:
    for table, what in (("tasks", "task.ended"), ("sessions", "session.ended")):
        for row in rows.get(table, ()):
            record = json.loads(row["record"]) if isinstance(row["record"], str) else row["record"]
            if record["ended"] is None and record["expires"] > now:
                yield Ended(what, str(record["id"]), people.get(record["human"]))


def _coming(taken: Sequence[Workload]) -> Iterator[str]:
    """What does, so that who installs can look at it."""
    for one in taken:
        if one.state is not LifeState.RETIRED:
            yield f"workload {one.name} comes over, {one.state} and {one.owner}'s: {_processes(one)}"


def _processes(workload: Workload) -> str:
    if workload.found == REGISTERED:
        return ", ".join(workload.selectors)
    return f"{workload.upstream}, found as uid {'unknown' if workload.uid is None else workload.uid}"


def _said(
    facts: Mapping[str, Any], settings: Settings, left: Sequence[Workload], ended: Sequence[Ended]
) -> Iterator[str]:
    """What does not move, one line each."""
    yield "new keys sign identities from now on: any program of theirs could have read the old ones"
    if facts["rows"].get("passkeys"):
        yield "passkeys stay behind, as any program of theirs could have added one: add them again"
    if ended:
        yield f"tasks and sessions end with the move: {', '.join(one.id for one in ended)}"
    for key in LEFT:
        if getattr(settings, key) != getattr(Settings(), key):
            yield f"`{key}` of their configuration stays behind: root says that in {Places.system().config}"
    for one in left:
        whose = f"`{one.owner}`'s" if one.owner else "nobody's"
        yield (
            f"workload {one.name} stays behind, as it is {whose} and of {_processes(one) or 'no process'}: "
            "an administrator adds it again, or Remit finds it"
        )
