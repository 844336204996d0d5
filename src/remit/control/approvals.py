"""Requests for approvals: people are asked, what they agree to is spent once, and nothing is allowed by an error."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final

from remit.config import ApprovalSettings
from remit.control.approval_limits import QuietError, QuietLimits
from remit.control.approval_live import OVER, POLICIES, Live, hands_of
from remit.control.approval_requests import Reply, Requests, facts
from remit.control.endings import since_boot
from remit.control.realm import Realm
from remit.control.workers import Worker
from remit.errors import AuditError, StateError
from remit.inventory import Human
from remit.policy.link import AskPeople
from remit.tasks import ApprovalRequest
from remit.tasks.approval_matter import Matter
from remit.tasks.approval_request import ApprovalError, Extent, RequestState

LOOK_SECONDS: Final = 1.0
MAX_WAIT_SECONDS: Final = 300.0  # of one call that asks to wait; longer ones come again


class Approvals(Requests):
    """One instance's; whoever changes one holds `_one_change`. `keyed` digests what could be guessed."""

    def __init__(
        self,
        realm: Realm,
        settings: ApprovalSettings,
        keyed: Callable[[bytes], str],
        say: Callable[[Reply], None],
        tell: Callable[[Reply], None] = lambda _: None,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        super().__init__(realm, say, tell, steady)
        self._settings, self._keyed = settings, keyed
        self._one_change, self._quiet = asyncio.Lock(), QuietLimits(settings.per_hour)

    async def answer(self, _worker: Worker | None, message: AskPeople) -> Reply:
        """What a gateway asked: an approval that is spent by this, a refusal with its rule, or what waits.

        1. what is agreed to is spent, once
        2. what was refused lately is not asked again, and nobody is asked too often
        3. people are asked; who waits long enough hears their answer
        """
        matter = Matter.from_dict(message.asked)
        key = self._keyed(bytes.fromhex(matter.binding))
        until = time.monotonic() + self._patience(matter)
        while True:
            if (spent := await self._take(key, matter)) is not None:  # 1
                return {"approval": spent}
            if self._quiet.denied(key, self._steady()):  # 2
                return _refused("denied", "a person said no")
            try:
                request = await self._asked(key, matter)
            except QuietError as error:
                return _refused("quiet", str(error))
            except ApprovalError as error:
                return _refused("over", str(error))
            if not await self._changes(request.id, until - time.monotonic()):  # 3
                return {"pending": request.id}
            if self._requests[request.id].state is RequestState.EXPIRED:
                return _refused("timed-out", "nobody answered in time")
            await asyncio.sleep(0)  # however often it changes, others have their turn

    async def approve(
        self, request_id: str, by: Human, extent: Extent, *, proof: str, why: str, calls: int, self_confirmed: bool
    ) -> ApprovalRequest:
        """Somebody who may agreed, proved by `proof`: on record and kept before it is good for anything.

        `calls` are those that they saw waiting. Raises NotFoundError, ApprovalError, AuditError, StateError.
        """
        what = "self-confirmed" if self_confirmed else "approved"
        async with self._one_change:
            request = self.named(request_id)
            live = self._check_in_force(request)
            task = self._realm.tasks.get(request.task or "")
            agreed = request.approved(
                by.person,
                extent,
                self._realm.clock(),
                proof=proof,
                why=why,
                until=task.expires if task is not None else 0.0,
                uses=min(calls, live.waiting),
                self_confirmed=self_confirmed,
            )
            await self._realm.acts(f"approval.{what}", request_id, by.person, facts(agreed))
            self._check_in_force(self.named(request_id))  # who asked may have gone while it was written
            self._realm.state.save_approval(agreed)
            self._put(agreed, what)
        return agreed

    async def deny(self, request_id: str, by: Human, why: str) -> ApprovalRequest:
        """Somebody said no, or takes back what is not used yet: in force at once. Raises as `approve`."""
        async with self._one_change:
            denied = self.named(request_id).denied(by.person, self._realm.clock(), why)
            self._quiet.deny(denied.binding, self._steady(), self._settings.open_seconds)
            self._put(denied, "denied")
            try:
                await self._realm.acts("approval.denied", request_id, by.person, facts(denied))
                self._realm.state.save_approval(denied)
            except (AuditError, StateError):
                self._unwritten.append(denied)
                raise
        return denied

    async def mind(self) -> None:
        """For ever: end those whose time, task or policies are over, and write down what the log did not take."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def _take(self, key: str, matter: Matter) -> Reply | None:
        """Spend what was agreed to, if it was: spent first, then on record and kept, and only then told."""
        async with self._one_change:
            request = self._requests.get(self._of.get(key, ""))
            now = self._realm.clock()
            if request is None or not request.good(matter.policy_set, now) or self._ended(request) is not None:
                return None
            spent = request.spent(matter.policy_set, now)
            self._put(spent, "")
            told = {**facts(spent), "decision": matter.decision}
            await self._realm.acts("approval.spent", spent.id, self._person(matter), told)
            self._realm.state.save_approval(spent)
            names = {human.person: human.name for human in self._realm.humans.values()}
            return {
                "id": spent.id,
                "policy_set": spent.policy_set,
                "level": spent.needed,
                "by": names[spent.by],
                "requester": matter.human,
                "expires": spent.expires,
                "self_confirmed": spent.self_confirmed,
            }

    async def _asked(self, key: str, matter: Matter) -> ApprovalRequest:
        """The open request for exactly this, made now unless somebody asked before: equal ones are one."""
        async with self._one_change:
            if matter.policy_set != self._realm.policies.digest:
                raise ApprovalError(POLICIES, hint="try again")
            request = self._requests.get(self._of.get(key, ""))
            if request is None or not request.open or self._ended(request) is not None:
                return await self._begin(key, matter)
            live = self._live[request.id]
            self._quiet.check_waiting(live.waiting)
            live.hands = live.hands.joined(hands_of(matter, self._realm))  # whoever asks for the same asks
            self._requests[request.id] = again = request.again()
            return again

    async def _begin(self, key: str, matter: Matter) -> ApprovalRequest:
        now = self._realm.clock()
        waiting = [
            live.matter for one, live in self._live.items() if self._requests[one].state is RequestState.PENDING
        ]
        self._quiet.check(matter, waiting, len(self._live) - len(waiting), self._steady())
        hands = hands_of(matter, self._realm)
        task = self._realm.tasks.get(matter.task or "")
        if matter.task is not None and (task is None or not task.live(now)):
            raise ApprovalError(OVER)
        people = (self._realm.humans.get(name) for name in sorted(hands.names))
        request = ApprovalRequest(
            id="ap-" + secrets.token_hex(6),
            binding=key,
            policy_set=matter.policy_set,
            needed=matter.needed,
            task=matter.task,
            requesters=tuple(human.person for human in people if human is not None),
            summary={**matter.summary(), "profile": task.profile if task is not None else ""},
            asked=now,
            expires=now + self._settings.open_seconds,
        )
        await self._realm.acts("approval.asked", request.id, self._person(matter), facts(request))
        self._realm.state.save_approval(request)
        self._of[key] = request.id
        self._live[request.id] = Live(matter, hands, 0.0)
        self._put(request, "asked")
        return request

    def _person(self, matter: Matter) -> str | None:
        human = self._realm.humans.get(matter.human)
        return None if human is None else human.person

    def _patience(self, matter: Matter) -> float:
        """Seconds that this call waits for people."""
        wanted = self._settings.pause_seconds if matter.wait is None else matter.wait
        return max(0.0, min(wanted, MAX_WAIT_SECONDS))

    async def _changes(self, request_id: str, seconds: float) -> bool:
        """Whether it is answered, or over, within so long. Withdrawn when who asked goes away, and no other waits."""
        live = self._live.get(request_id)
        if seconds <= 0 or live is None:
            return seconds > 0
        live.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await live.changed.wait()
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            request = self._requests[request_id]
            if request.state is RequestState.PENDING and live.waiting == 1:
                self._close(request.withdrawn("who asked has gone"))
            raise
        finally:
            live.waiting -= 1
        return True


def _refused(rule: str, why: str) -> Reply:
    return {"refused": why, "rule": rule}
