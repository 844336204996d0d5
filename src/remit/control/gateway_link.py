"""Control's side of the link: what it tells a gateway, and what it does with a gateway's messages."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from remit.audit import DigestKey, shard_name
from remit.config import GatewaySettings, Places
from remit.control.own_log import OwnLog
from remit.control.workers import Worker
from remit.errors import ProtocolError, RemitError, StateError
from remit.identity import SpiffeId
from remit.inventory import Workload
from remit.policy.link import (
    Answer,
    AskPeople,
    Certified,
    Certify,
    LogFailed,
    Message,
    Observed,
    Raise,
    Refused,
    Reserve,
    Serving,
    Settle,
    Welcome,
    Withdrawn,
    name_of,
)
from remit.policy.refusal import MODEL_LOST
from remit.secret import Secret

Answering = Callable[[Worker, Any], Awaitable[dict[str, Any]]]
Taking = Callable[[Worker, Any], Awaitable[None]]

CERTIFY_SECONDS: Final = 60.0  # a shard is named by the time it begins; a clock may be set meanwhile


class GatewayLink:
    """Greets each gateway, certifies its log, and passes on what it reports. `say` takes events for the owner."""

    def __init__(
        self,
        places: Places,
        settings: GatewaySettings,
        trust_domain: str,
        log: OwnLog,
        workloads: Mapping[SpiffeId, Workload],
        say: Callable[[dict[str, Any]], None],
        model_lost: Callable[[SpiffeId], None] = lambda _: None,
    ) -> None:
        self._places, self._settings, self._domain = places, settings, trust_domain
        self._log, self._workloads, self._say = log, workloads, say
        self._model_lost = model_lost
        self._digest_key = places.state / "digest.key"
        DigestKey.open(self._digest_key)  # made the first time
        self.points: tuple[SpiffeId, ...] = ()
        """The callers whose word about others the decisions zone takes."""
        self.answers: dict[type[Message], Answering] = {}
        """What answers each kind of question: they register here."""
        self.takes: dict[type[Message], Taking] = {}
        """What takes each kind of message that is not answered."""
        self.lost: list[Callable[[Worker], None]] = []
        """Told of each worker that died."""
        self._asked: dict[tuple[int, int], asyncio.Task[None]] = {}

    def welcome(self, zone: str) -> Welcome:
        return Welcome(
            zone=zone,
            trust_domain=self._domain,
            audit_dir=self._places.audit,
            cache_dir=self._places.state / "cache",
            digest_key=Secret(self._digest_key.read_bytes().hex()),
            settings=self._settings,
            points=self.points,
        )

    async def heard(self, worker: Worker, message: Message) -> None:
        """Act on what a worker said; raises a RemitError for what no sound worker says."""
        match message:
            case Certify():
                await self._certify(worker, message)
            case Refused():
                self._tell_owner(message)
                if message.rule == MODEL_LOST:
                    self._model_lost(message.workload)
            case LogFailed(why, hint):
                worker.log_failure = why
                self._say({"event": "error", "message": why, "hint": hint})
            case Reserve() | Raise() | AskPeople():
                self._ask(worker, message)
            case Settle() | Observed():
                await self._take(worker, message)
            case Withdrawn(ask):
                if (asked := self._asked.pop((worker.child.pid, ask), None)) is not None:
                    asked.cancel()
            case Serving():
                pass  # which doors are open is known from opening them
            case _:
                raise ProtocolError(f"a gateway does not send `{name_of(message)}`")

    async def died(self, worker: Worker, status: int) -> None:
        for key in [key for key in self._asked if key[0] == worker.child.pid]:
            self._asked.pop(key).cancel()  # nobody waits for these any more
        for lost in self.lost:
            lost(worker)
        self._note(f"the {worker.zone} gateway died (status {status}); starting another")
        await self._log.act("worker.died", worker.zone, None, {"pid": worker.child.pid, "status": status})

    async def misbehaved(self, worker: Worker, why: str) -> None:
        self._note(f"the {worker.zone} gateway does not keep to its link: ending it ({why})")
        await self._log.act("worker.misbehaved", worker.zone, None, {"pid": worker.child.pid, "why": why[:200]})

    def _ask(self, worker: Worker, message: Reserve | Raise | AskPeople) -> None:
        """Answer beside what else the worker says: people take their time. Until then it can be withdrawn."""
        answers = self.answers.get(type(message))
        key = (worker.child.pid, message.ask)
        if answers is None or key in self._asked:
            raise ProtocolError(f"nothing here answers `{name_of(message)}` number {message.ask}")
        self._asked[key] = asyncio.get_running_loop().create_task(self._answer(worker, message, answers))

    async def _answer(self, worker: Worker, message: Reserve | Raise | AskPeople, answers: "Answering") -> None:
        try:
            what = await answers(worker, message)
        except RemitError as error:
            what = {"refused": str(error)}
        finally:
            self._asked.pop((worker.child.pid, message.ask), None)
        with contextlib.suppress(StateError):  # it has died, and its successor asks anew
            worker.child.channel.send(Answer(message.ask, what))

    async def _take(self, worker: Worker, message: Message) -> None:
        takes = self.takes.get(type(message))
        if takes is None:
            raise ProtocolError(f"nothing here takes `{name_of(message)}`")
        await takes(worker, message)

    async def _certify(self, worker: Worker, asked: Certify) -> None:
        """Certify a worker's log: once, and for a shard of its own zone that begins now; raises StateError."""
        if worker.certified:
            raise StateError("it asked for a second certificate for its log")
        recent = abs(asked.started - time.time()) <= CERTIFY_SECONDS
        if not recent or asked.shard != shard_name(f"{worker.zone}-0", asked.started):
            raise StateError("it asked to certify a log that is not its own")
        worker.certified = True
        await self._log.act("writer.certified", asked.shard, None, {"pid": worker.child.pid})
        certificate = self._log.certify(asked.shard, asked.public, asked.started)
        worker.child.channel.send(Certified(certificate.to_dict()))

    def _tell_owner(self, refused: Refused) -> None:
        """Show a refusal in the owner's terminal, with the way to allow it: never to the caller (invariant 6)."""
        event = {"event": "refused", "decision": refused.decision, "message": refused.message}
        workload = self._workloads.get(refused.workload)
        if workload is not None and refused.rule == "default-deny":
            event["allow"] = f"remit task start {workload.name} --allow {refused.action} --for 15m"
        self._say(event)

    def _note(self, text: str) -> None:
        self._say({"event": "note", "text": text})
