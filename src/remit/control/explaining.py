"""One recorded decision told to whom it was about, when they can't read the log themselves."""

from pathlib import Path
from typing import Any

from remit.audit.read import find
from remit.control.realm import Realm
from remit.control.roles import Reach, Role
from remit.errors import NotFoundError, PolicyError
from remit.policy import explain, explain_json, load

MAX_ID = 128  # characters: no decision's id is longer


def explained(audit: Path, decision: str, realm: Realm, reach: Reach) -> dict[str, Any]:
    """The text, and the same for machines. Blocks: it reads the log. Raises NotFoundError, also for another's."""
    own = realm.humans.get(reach.name)
    for record in find(audit, decision):
        data = record.data
        theirs = own is not None and data.get("person") == own.person
        if data.get("kind") == "start" and (theirs or reach.role is not Role.PERSON):
            row = {**data, "index": record.index, "shard": record.shard, "covered_by": record.covered_by}
            names = names_seen(realm, reach)
            try:
                policies = load(realm.policies.files)
            except PolicyError:
                policies = None
            return {"text": explain(row, names, policies), "record": explain_json(row, names, policies)}
    raise NotFoundError(
        f"no decision `{decision}` of yours is on record", hint="its id came with the reply or refusal"
    )


def names_seen(realm: Realm, reach: Reach) -> dict[str, str]:
    """Pseudonym to name, for those who may see it: a person sees their own."""
    return {human.person: human.name for human in realm.humans.values() if reach.sees(human.name)}
