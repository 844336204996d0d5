"""Asks people, through control, for what takes their agreement: an approval of exactly this, or a refusal."""

import hashlib
import json
from collections import Counter
from typing import Any, Final

from remit.errors import ProtocolError, StateError
from remit.gateway.prompt_cache import DROPPED
from remit.gateway.said import said
from remit.gateway.zone import Zone
from remit.policy import Approval, ApprovalNeededError, Approver, Intent, RefusedError
from remit.policy.link import AskPeople
from remit.policy.question import fits
from remit.policy.thing import Thing, ThingKind
from remit.redaction import mask
from remit.tasks.approval_matter import MAX_SHOWN, Matter

LONGEST_SECONDS: Final = 310.0  # control answers before that: it lets no call wait for longer than 300
UNAVAILABLE: Final = "unavailable"
_HINTS: Final = {
    "denied": "ask whoever said no; the same is not asked again for a while",
    "timed-out": "nobody answered: that is no refusal by a person; ask again when somebody is there",
    "quiet": "wait: until what is asked already is answered, or for an hour",
    "over": "ask again, as it is now",
    "too-long": "nobody could read all of it before they agree: send it in parts",
    UNAVAILABLE: "nothing goes on without an answer; ask whoever runs remit on this machine",
}


async def agreed(
    intent: Intent, value: Any, needed: ApprovalNeededError, zone: Zone, wait: float | None = None
) -> Approval:
    """Somebody's agreement to exactly `intent`, spent by this. `value` is what it would send: JSON, or bytes.

    `wait` is for how many seconds; None: as long as is usual here. Raises RefusedError, also when nobody can be
    asked; ApprovalNeededError with a `handle` while it is not answered: who asks the same again hears more.
    """
    matter = _matter(intent, value, needed, zone, wait).to_dict()
    try:
        answer = await zone.questions.ask(lambda number: AskPeople(number, matter), LONGEST_SECONDS)
    except StateError as error:
        raise _refused(needed, UNAVAILABLE, str(error)) from error
    if "approval" in answer:
        return _approval(intent, answer["approval"])
    if "pending" in answer:
        raise needed.waiting(str(answer["pending"]))
    raise _refused(needed, str(answer.get("rule", UNAVAILABLE)), str(answer.get("refused", "no answer")))


def _approval(intent: Intent, row: dict[str, Any]) -> Approval:
    return Approval(
        id=row["id"],
        binding=intent.binding,
        policy_set=row["policy_set"],
        level=Approver[row["level"].upper()],
        by=row["by"],
        requester=row["requester"],
        expires=row["expires"],
        self_confirmed=row["self_confirmed"],
    )


def _refused(needed: ApprovalNeededError, rule: str, why: str) -> RefusedError:
    return RefusedError(
        f"{needed}: {why}",
        decision_id=needed.decision_id,
        rule=f"remit:approval-{rule}",
        policies=needed.policies,
        hint=_HINTS.get(rule, _HINTS[UNAVAILABLE]),
        status=503 if rule == UNAVAILABLE else 403,
    )


def _matter(intent: Intent, value: Any, needed: ApprovalNeededError, zone: Zone, wait: float | None) -> Matter:
    caller, so = intent.caller, intent.circumstances
    task = zone.engine.task(caller.task)
    process = caller.process
    uids = () if process is None else (process.uid, *(() if process.login_uid is None else (process.login_uid,)))
    arguments, size = _arguments(intent, value, needed, zone)
    return Matter(
        decision=needed.decision_id,
        binding=intent.binding.hex(),
        policy_set=zone.snapshot.policy_set,
        needed=needed.approver,
        by=[str(ref) for ref in needed.policies],
        described=caller.described(),
        workload=str(caller.spiffe_id),
        human=caller.human,
        uids=list(uids),
        chain=[str(actor) for actor in caller.chain],
        task=caller.task,
        action=intent.action.value,
        on=str(intent.resource),
        owner=_owner(intent, zone),
        route=intent.route,
        target=_masked(intent.target, zone),
        model=said(intent.model, zone.scrubber) if intent.model else "",
        model_digest=intent.model_digest,
        thing=None if intent.thing is None else _described(intent.thing),
        destination=_destination(intent, zone),
        provenance=None if so.args is None else so.args.to_json(),
        flow=None if so.flow is None else so.flow.to_json(),
        found={rule: label.value for rule, label in intent.found},
        presence=so.presence,
        outside=task is not None and not fits(intent, task),
        arguments=arguments,
        size=size,
        wait=wait,
    )


def _owner(intent: Intent, zone: Zone) -> str:
    """Whose what is acted on is: the thing's owner, else its server's."""
    workload = zone.workload(intent.resource)
    named = intent.thing.owner if intent.thing is not None else ""
    return named or (workload.owner if workload is not None else "")


def _described(thing: Thing) -> dict[str, Any]:
    attributes = thing.to_entity()["attrs"]
    return {**attributes, "id": thing.id, "kind": thing.kind.value, "owner": thing.owner}


def _destination(intent: Intent, zone: Zone) -> dict[str, Any] | None:
    if intent.thing is not None and intent.thing.kind is ThingKind.DESTINATION:
        return _described(intent.thing)
    named = intent.circumstances.destination
    return None if named is None else _described(zone.engine.thing(ThingKind.DESTINATION, named))


def _arguments(intent: Intent, value: Any, needed: ApprovalNeededError, zone: Zone) -> tuple[str, int]:
    """What would be sent, whole, with secrets masked; refused where nobody could read it all."""
    value = intent.arguments if intent.arguments is not None else _without_keys(value)
    if isinstance(value, bytes):
        text, size = f"{len(value)} bytes that are no text, sha256 {hashlib.sha256(value).hexdigest()}", len(value)
    elif value is None:
        text, size = "", 0
    else:
        text = json.dumps(zone.scrubber.masked(value, (), Counter()), ensure_ascii=False)
        size = len(text.encode("utf-8", "surrogatepass"))
    if len(text) > MAX_SHOWN:
        raise _refused(needed, "too-long", f"its arguments have more than {MAX_SHOWN} characters")
    return text, size


def _without_keys(value: Any) -> Any:
    """Without what keeps this caller's prompts apart from others' in the server's memory: nobody else's to see."""
    if not isinstance(value, dict):
        return value
    return {name: field for name, field in value.items() if name not in DROPPED}


def _masked(text: str, zone: Zone) -> str:
    if len(text) > MAX_SHOWN:
        raise ProtocolError("the path and query are too long for anybody to read")
    return mask(text, zone.scrubber.find(text))
