"""The desk's answers about approvals: who sees what is asked, and who may say yes or no to it."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Final

from remit.config import ApprovalSettings
from remit.control.approval_live import Live
from remit.control.approval_view import row, whole
from remit.control.approvals import Approvals
from remit.control.governed import ancestry
from remit.control.proving import Proving
from remit.control.realm import Realm
from remit.control.roles import NotAdmittedError, Reach
from remit.control.visitor import Visitor
from remit.errors import UsageError
from remit.identity import Process
from remit.persons import Act, Shown
from remit.tasks import ApprovalRequest
from remit.tasks.approval_request import ApprovalError, Extent, RequestState
from remit.tasks.four_eyes import Answerer, Hands, Rules, check_self_confirmed, level, same

MAX_ASKED: Final = 4096  # characters: what asks for a password takes 64 KiB, each character spelled out at worst


class ApprovalDesk:
    """Answers about the requests in `approvals`. `alone`: nobody else could answer here."""

    def __init__(
        self,
        realm: Realm,
        approvals: Approvals,
        proving: Proving,
        settings: ApprovalSettings,
        observe: Callable[[int], Process],
        alone: Callable[[], bool],
    ) -> None:
        self._realm, self._approvals, self._proving = realm, approvals, proving
        self._settings, self._observe, self._alone = settings, observe, alone

    def listed(self, who: Visitor) -> list[dict[str, Any]]:
        """What waits and what was answered lately, the newest first; of no workload's business."""
        who.check_not_governed()
        seen = [one for one in self._approvals.listed() if self._sees(who.reach, one)]
        return [row(one, self._approvals.live(one), self._realm) for one in seen]

    def waiting(self, reach: Reach) -> int:
        """How many that they see wait for an answer."""
        pending = (one for one in self._approvals.listed() if one.state is RequestState.PENDING)
        return sum(self._sees(reach, one) for one in pending)

    def shown(self, who: Visitor, request_id: str) -> dict[str, Any]:
        """All of one, with the exact arguments while it is open."""
        request = self._seen(who, request_id)
        return self._whole(request)

    async def approve(
        self, who: Visitor, request_id: str, *, extent: Extent, digest: str, calls: int, why: str
    ) -> dict[str, Any]:
        """Say yes to exactly what was shown, by its digest.

        1. it is open, and what was shown is what it is
        2. who answers may, and is not who asked; or confirms it themselves, where that is allowed
        3. a person does it: with a proof of exactly this
        Raises NotFoundError, NotAdmittedError, UsageError, ApprovalError, ProofNeededError.
        """
        # 1
        request = self._seen(who, request_id)
        live = self._approvals.live(request)
        if live is None:
            raise ApprovalError(f"`{request_id}` is {request.state} already")
        if digest != live.matter.digest:
            raise ApprovalError(
                f"`{request_id}` is not what was shown", hint="`remit approvals show` shows it as it is"
            )
        # 2
        answerer = await asyncio.to_thread(self._answerer, who, live)
        level(answerer, request.needed)
        because = same(answerer.hands, live.hands)
        if because:
            waited = self._realm.clock() - request.asked
            rules = Rules(self._settings.single_operator, self._alone(), self._settings.confirm_seconds)
            check_self_confirmed(because, request.needed, waited, why, rules)
        if not why.isprintable():
            raise UsageError("the reason must be one line of printable letters")
        # 3
        matter = live.matter
        shown = Shown.of(
            approval=request_id,
            kind="self-confirmed" if because else "approved",
            extent=extent.value,
            calls=calls,
            action=matter.action,
            on=matter.named,
            asked_by=matter.described,
            asked_for=matter.human,
            task=matter.task or "",
            route=matter.target or matter.route,
            arguments=_in_short(matter.arguments),
            reason=why,
            digest=digest,
        )
        proof = await self._proving.require(who, Act.APPROVAL_APPROVE, shown)
        kind = proof.kind.value
        agreed = await self._approvals.approve(
            request_id, who.human, extent, proof=kind, why=why, calls=calls, self_confirmed=bool(because)
        )
        return {**self._whole(agreed), "proof": kind}

    async def deny(self, who: Visitor, request_id: str, why: str) -> dict[str, Any]:
        """Say no, or take back a yes; whoever asked may, too: it only takes reach away."""
        request = self._seen(who, request_id)
        live = self._approvals.live(request)
        if live is not None:
            answerer = await asyncio.to_thread(self._answerer, who, live)
            if not same(answerer.hands, live.hands):
                level(answerer, request.needed)
        return self._whole(await self._approvals.deny(request_id, who.human, why))

    def _seen(self, who: Visitor, request_id: str) -> ApprovalRequest:
        who.check_not_governed()
        request = self._approvals.named(request_id)
        if not self._sees(who.reach, request):
            raise NotAdmittedError(f"approval `{request_id}` is another person's")
        return request

    def _sees(self, reach: Reach, request: ApprovalRequest) -> bool:
        """Who asked for it, whose it is, and who may see or answer everything."""
        live, human = self._approvals.live(request), self._realm.humans.get(reach.name)
        own = live is not None and live.matter.owner == reach.name
        asked = human is not None and human.person in request.requesters
        return own or asked or approves(reach) or reach.sees("")

    def _answerer(self, who: Visitor, live: Live) -> Answerer:
        """Blocks: it looks at each process that the visitor's runs beneath."""
        beneath = frozenset(one.uid for one in ancestry(who.process, self._observe))
        logins = {who.process.login_uid} - {None}
        uids = frozenset({who.process.uid, *who.human.uids, *(uid for uid in logins if uid is not None)})
        hands = Hands(frozenset({who.human.name}), uids, beneath)
        return Answerer(hands, live.matter.owner == who.human.name, approves(who.reach))

    def _whole(self, request: ApprovalRequest) -> dict[str, Any]:
        return whole(request, self._approvals.live(request), self._realm, self._approvals.listed())


def _in_short(arguments: str) -> str:
    """As a question on a terminal has room for them; a long one by its digest, and shown by the command that asks."""
    if len(arguments) <= MAX_ASKED:
        return arguments
    named = hashlib.sha256(arguments.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{len(arguments)} characters, sha256 {named}: `remit approvals show` has them all"


def approves(reach: Reach) -> bool:
    """Whether they answer what takes an approver."""
    return reach.approves
