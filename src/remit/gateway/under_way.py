"""Calls under way whose model is lost meanwhile: cut as the next request would be refused."""

import asyncio
from collections.abc import Iterable

from remit.gateway.model_in_force import Lost, lost_by, refusal
from remit.gateway.zone import Zone
from remit.identity import SpiffeId
from remit.inventory import Workload
from remit.policy import Action, Intent
from remit.policy.link import Refused

Asked = tuple[SpiffeId, str | None, Action]  # which server and model, for what: the same answer for many calls


async def cut_lost(zone: Zone) -> None:
    """Cut them, and tell control of each model once. Their files are looked at in a thread: a disk may be slow.

    Not of a call that is not recorded yet: it comes to the same look by itself.
    """
    under_way = [(call, call.intent) for call in zone.live if call.recorded and call.intent is not None]
    questions = {_asked(intent): (intent, zone.workload(intent.resource)) for _, intent in under_way}
    if not questions:
        return
    found = await asyncio.get_running_loop().run_in_executor(zone.executor, _lost, questions.items())
    told = set()
    for call, intent in under_way:
        if call in zone.live and (loss := found.get(_asked(intent))) is not None:
            workload, lost = loss
            error = refusal(intent, workload, lost, call.id)
            call.cut(error)
            if lost.model.name not in told:
                told.add(lost.model.name)
                zone.told(Refused(call.id, str(error), error.rule, intent.action, workload.spiffe_id))


def _asked(intent: Intent) -> Asked:
    return intent.resource, intent.model, intent.action


def _lost(
    questions: Iterable[tuple[Asked, tuple[Intent, Workload | None]]],
) -> dict[Asked, tuple[Workload, Lost]]:
    answers = {}
    for asked, (intent, workload) in questions:
        if workload is not None and (lost := lost_by(intent, workload)) is not None:
            answers[asked] = workload, lost
    return answers
