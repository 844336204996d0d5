"""The requests for approvals that are known, as they are now: ended by time, and kept."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from remit.control.approval_live import Live, ended
from remit.control.endings import since_boot
from remit.control.realm import Realm
from remit.errors import AuditError, NotFoundError, StateError
from remit.tasks import ApprovalRequest
from remit.tasks.approval_request import ApprovalError, RequestState

KEPT_SECONDS: Final = 86400.0
MAX_KEPT: Final = 1_000
_ASKED: Final = ("binding", "policy_set", "needed", "task", "requesters", "summary", "expires")
_ANSWERED: Final = ("binding", "policy_set", "task", "calls", "extent", "uses", "self_confirmed", "proof", "why")
Reply = dict[str, Any]


class Requests:
    """Of control's event loop alone. None survives control: what nobody has used by then is asked anew, so that no
    copy of its state brings one back.

    `say` takes the events that `remit up` shows, `tell` those of the webhook. `steady` is a clock that nobody sets.
    """

    def __init__(
        self,
        realm: Realm,
        say: Callable[[Reply], None],
        tell: Callable[[Reply], None] = lambda _: None,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self._realm, self._say, self._tell, self._steady = realm, say, tell, steady
        self._requests: dict[str, ApprovalRequest] = {}
        self._of: dict[str, str] = {}  # the open request of each binding
        self._live: dict[str, Live] = {}
        self._unwritten: deque[ApprovalRequest] = deque()

    def take_up(self) -> None:
        """What was kept before: nothing of it is good any more. Raises StateError."""
        book, oldest = self._realm.state, self._realm.clock() - KEPT_SECONDS
        kept = book.approvals()
        recent = [one for one in kept if one.asked >= oldest][-MAX_KEPT:]
        book.drop_approvals({one.id for one in kept} - {one.id for one in recent})
        for one in recent:
            self._requests[one.id] = one
            if one.open:
                self._close(one.withdrawn("control started again"))

    def listed(self) -> list[ApprovalRequest]:
        """The newest first."""
        return sorted(self._requests.values(), key=lambda one: one.asked, reverse=True)

    def named(self, request_id: str) -> ApprovalRequest:
        """As it is now; raises NotFoundError."""
        request = self._requests.get(request_id)
        if request is None:
            hint = "`remit approvals list` shows those there are"
            raise NotFoundError(f"no approval goes by `{request_id}`", hint=hint)
        return request

    def live(self, request: ApprovalRequest) -> Live | None:
        """What it is about and who is behind it, while it is open."""
        return self._live.get(request.id)

    async def look(self) -> None:
        """Once."""
        for request in [self._requests[request_id] for request_id in self._live]:
            if (why := self._ended(request)) is not None:
                self._close(request.withdrawn(why) if why else request.expired())
        while self._unwritten:
            request = self._unwritten[0]
            try:
                await self._realm.acts(f"approval.{request.state}", request.id, None, facts(request))
                self._realm.state.save_approval(request)
            except (AuditError, StateError):
                return  # it has ended all the same; tried again
            self._unwritten.popleft()
        for gone in self.listed()[MAX_KEPT:]:
            if not gone.open:
                del self._requests[gone.id]

    def _ended(self, request: ApprovalRequest) -> str | None:
        live = self._live.get(request.id)
        return ended(request, self._realm, live.ends if live is not None else 0.0, self._steady())

    def _check_in_force(self, request: ApprovalRequest) -> Live:
        """What it is about; raises ApprovalError when it is over."""
        live = self._live.get(request.id)
        if live is None:
            raise ApprovalError(f"`{request.id}` is {request.state} already")
        if (why := self._ended(request)) is not None:
            raise ApprovalError(f"`{request.id}` is over: {why or 'nobody answered in time'}")
        return live

    def _close(self, request: ApprovalRequest) -> None:
        """It has ended by itself: in force at once, then written by `look`."""
        self._put(request, request.state.value)
        self._unwritten.append(request)

    def _put(self, request: ApprovalRequest, what: str) -> None:
        """In force; whoever waits for it is woken, and `what` has become of it is told."""
        live = self._live.get(request.id)
        self._requests[request.id] = request
        if live is not None:
            live.ends = self._steady() + (request.expires - self._realm.clock())
            if request.state is not RequestState.PENDING:
                live.changed.set()
            if not request.open:
                del self._live[request.id]
                if self._of.get(request.binding) == request.id:
                    del self._of[request.binding]
        if what:
            self._note(request, what)

    def _note(self, request: ApprovalRequest, what: str) -> None:
        summary = request.summary
        told = {"id": request.id, "what": what, "action": summary["action"], "thing": summary["thing"]}
        self._tell({**told, "needed": request.needed, "task": request.task, "expires": request.expires})
        self._say({"event": "approval", **told})


def facts(request: ApprovalRequest) -> Reply:
    """What the log keeps of it: never the arguments, and of people their pseudonyms."""
    told = request.to_dict()
    keys = _ASKED if request.state is RequestState.PENDING else _ANSWERED
    return {key: told[key] for key in keys if told[key] not in (None, "", 0, False)}
