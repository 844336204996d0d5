"""The opening that an emergency instance is for: who asks, what stays withheld, and where it is written down."""

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remit.control.ended import withheld_workloads
from remit.control.governed import governor
from remit.control.launches import Launches
from remit.control.own_log import OwnLog
from remit.control.owner import Owner
from remit.control.realm import Realm
from remit.control.roles import ALL
from remit.control.visitor import NotAdmittedError, Visitor
from remit.errors import AuditError
from remit.inventory.lifecycle import WITHHELD
from remit.persons.openings_book import OpeningsBook
from remit.persons.sealing import DIRECTORY


@dataclass(frozen=True, slots=True)
class Asked:
    """An opening whose code was right. `pid` and `uid` are the process that asked, `person` for whom."""

    person: Owner
    uid: int
    pid: int
    reason: str
    seconds: float


class ActsBeside:
    """Records what is done to an emergency's own realm so that no control takes it for what it did itself.

    Its log's word on who owns a workload and what is suspended outranks what is kept (`LogsWord`).
    """

    def __init__(self, log: OwnLog) -> None:
        self._log = log

    async def __call__(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        own = what if what.startswith("break-glass.") else f"emergency.{what}"
        await self._log.act(own, subject, person, facts)


class BookBeside(OpeningsBook):
    """The book while another log than the instance's own is written: that one is told later, by the next control."""

    def recorded(self, name: str) -> None:
        self._recorded.add(name)


async def check_not_governed(asked: Asked, realm: Realm, launches: Launches, log: OwnLog) -> None:
    """Raises NotAdmittedError, on record, when the process that asked runs under a workload, or in a task.

    As far as workloads and tasks are known: those of a state that can't be read are not.
    """
    process = await asyncio.to_thread(launches.observe, asked.pid)
    in_force = tuple(realm.workloads.values())
    above = await asyncio.to_thread(governor, process, in_force, launches.observe)
    human = realm.humans[asked.person.name]
    try:
        Visitor(process, human, "uid", above, reach=ALL).check_not_governed()
    except NotAdmittedError as error:
        facts = {"pid": asked.pid, "uid": asked.uid, "why": str(error)}
        await log.act("break-glass.refused", DIRECTORY, human.person, facts)
        raise


def withhold(realm: Realm, log: Path, note: Callable[[str], None]) -> None:
    """What the log says was suspended or retired stays so, also where the state that says it can't be read."""
    try:
        withheld = withheld_workloads(log, 0.0)
    except AuditError as error:
        note(f"what was suspended can't be read: {error}")
        return
    for known in tuple(realm.workloads.values()):
        state, since = withheld.get(str(known.spiffe_id), (known.state, known.state_since))
        if state is not known.state and known.state not in WITHHELD:
            realm.keep_workload(dataclasses.replace(known, state=state, state_since=since))
