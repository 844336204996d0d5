"""One recorded decision told to whom it was about, when they can't read the log themselves."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remit.audit.read import find
from remit.control.realm import Realm
from remit.control.roles import Reach, Role
from remit.errors import AuditError, NotFoundError
from remit.policy import explain, explain_json
from remit.policy.in_force import InForce
from remit.policy.looked_into import bundle_of, look_into

MAX_ID = 128  # characters: no decision's id is longer


@dataclass(frozen=True, slots=True)
class OnRecord:
    """A decision's `start` record with its place, and the acts about the policy set that decided it."""

    row: dict[str, Any]
    acts: tuple[dict[str, Any], ...]


def on_record(audit: Path, decision: str) -> OnRecord:
    """Blocks: it reads the log. Raises NotFoundError where there is no such decision."""
    for record in _about(audit, decision):
        data = record.data
        if data.get("kind") == "start":
            row = {**data, "index": record.index, "shard": record.shard, "covered_by": record.covered_by}
            acts = _about(audit, str(row.get("policy_set"))) if row.get("policy_set") else []
            return OnRecord(row, tuple(one.data for one in acts))
    raise NotFoundError(f"no decision `{decision}` is in `{audit}`", hint="`remit audit tail` lists the newest")


def explained(found: OnRecord, realm: Realm, reach: Reach, in_force: InForce) -> dict[str, Any]:
    """The text, and the same for machines. Raises NotFoundError for another's."""
    own = realm.humans.get(reach.name)
    theirs = own is not None and found.row.get("person") == own.person
    if not theirs and reach.role is Role.PERSON:
        raise not_theirs(str(found.row.get("id")))
    every = {human.person: human.name for human in realm.humans.values()}
    looked = replace(look_into(found.row, in_force, every), bundle=bundle_of(found.acts))
    looked = looked.without_texts() if reach.role is Role.PERSON else looked
    names = names_seen(realm, reach)
    told = (found.row, names, in_force.policies, looked)
    return {"text": explain(*told), "record": explain_json(*told)}


def not_theirs(decision: str) -> NotFoundError:
    """The same for what is another's and for what isn't there."""
    return NotFoundError(
        f"no decision `{decision}` of yours is on record", hint="its id came with the reply or refusal"
    )


def names_seen(realm: Realm, reach: Reach) -> dict[str, str]:
    """Pseudonym to name, for those who may see it: a person sees their own."""
    return {human.person: human.name for human in realm.humans.values() if reach.sees(human.name)}


def _about(audit: Path, wanted: str) -> list[Any]:
    try:
        return list(find(audit, wanted))
    except AuditError:
        return []
