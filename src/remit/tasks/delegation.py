"""Delegation: what may be cut from a task. It only narrows, and every hand it passed through stays in its chain."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from remit.errors import RemitError, UsageError
from remit.identity import SpiffeId
from remit.tasks.asked import check_size, expressions, listed
from remit.tasks.budget import NOTHING
from remit.tasks.narrowing import AS_IT_WAS, Narrowing, Reach, WiderError, narrowed
from remit.tasks.session import Session
from remit.tasks.task import WORKLOAD, Task

MAX_CHAIN: Final = 5  # a person's agent, its agent, and so on: nobody can answer for more
MAX_PARTS: Final = 1_000  # of one person, live at once: each is in every Snapshot
MAX_PARTS_LISTED: Final = 4 << 20  # characters that the parts of one person list together: a Snapshot has 16 MiB
EXPRESSION_WEIGHT: Final = 8_192  # of these, for each expression: compiled it takes ten times that in every process
MAX_SECONDS: Final = 3600.0  # of an access token: its key is kept no longer once it signs no more

UNAVAILABLE: Final = "temporarily_unavailable"  # RFC 6749 4.1.2.1: the same may be had later


class DelegationError(RemitError):
    """What is asked for can't be cut from what there is. `code` is the OAuth error that says so."""

    exit_code = 3

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True)
class Wanted:
    """The part that is asked for. What is None is as it was; `seconds` is its whole life.

    `part` is the rest of it; its actions don't count.
    """

    on: SpiffeId | None = None
    actions: tuple[str, ...] | None = None
    seconds: float | None = None
    purpose: str = ""
    part: Narrowing = AS_IT_WAS


@dataclass(frozen=True, slots=True)
class Origin:
    """What a first task is cut from: a person's session, or a workload's own identity. `expires` is Unix seconds."""

    human: str
    proof: str
    expires: float
    parent: str | None = None
    chain: tuple[SpiffeId, ...] = ()

    @classmethod
    def session(cls, session: Session, now: float) -> "Origin":
        if not session.live(now):
            raise DelegationError("invalid_grant", "the session has ended", hint="begin a new one: `remit login`")
        return cls(session.human, session.proof, session.expires, session.id)

    @classmethod
    def workload(cls, spiffe_id: SpiffeId, owner: str, now: float) -> "Origin":
        """No person began it: a task of it adds nothing to what the workload may anyway."""
        return cls(owner, WORKLOAD, now + MAX_SECONDS, None, (spiffe_id,))


def begun(origin: Origin, wanted: Wanted, actor: SpiffeId | None, now: float, *, task_id: str) -> Task:
    """The first task from `origin`, for itself or for `actor`; raises DelegationError. It has no token yet.

    Left to the caller: whether there is such a workload, and whether the person may start a task on it.
    """
    if wanted.on is None:
        raise DelegationError("invalid_target", "no workload is named", hint="say which: `resource`")
    if not wanted.actions:
        raise DelegationError("invalid_scope", "no actions are named", hint="say which: `scope`")
    expires = _sooner(origin.expires, wanted.seconds, now)
    reach = wanted.part.alone()
    _check_size(reach)
    return Task(
        task_id,
        origin.human,
        wanted.on,
        tuple(dict.fromkeys(wanted.actions)),
        wanted.purpose,
        now,
        expires,
        "",
        origin.proof,
        parent=origin.parent,
        chain=_joined(origin.chain, actor) if actor is not None else origin.chain,
        tools=reach.tools,
        ceiling=reach.ceiling,
        destinations=reach.destinations,
        budget=reach.budget,
        present=reach.present,
    )


def cut(parent: Task, wanted: Wanted, actor: SpiffeId | None, now: float, *, task_id: str) -> Task:
    """The task that `actor` gets from `parent` at `now` (Unix seconds); raises DelegationError. It has no token yet.

    1. the parent is live
    2. on the same workload (RFC 8707: `invalid_target`)
    3. none but the parent's actions (RFC 6749: `invalid_scope`); tools, ceiling, destinations, budget within its own
    4. not longer than the parent
    5. who gets it joins the chain: never twice, never without an identity once there is a chain

    Left to the caller: that everyone in the chain is still active, and that the actor acts for the same person.
    """
    # 1
    if not parent.live(now):
        raise DelegationError("invalid_grant", "the task has ended", hint="ask its owner for a new one")
    # 2
    if wanted.on not in {None, parent.on}:
        raise DelegationError("invalid_target", f"the task is on `{parent.on}`, not on `{wanted.on}`")
    # 3 and 4
    reach = _fewer(parent, wanted)
    expires = _sooner(parent.expires, wanted.seconds, now)
    # 5
    return replace(
        parent,
        id=task_id,
        actions=reach.actions,
        tools=reach.tools,
        ceiling=reach.ceiling,
        destinations=reach.destinations,
        budget=reach.budget,
        present=reach.present,
        spent=NOTHING,
        purpose=wanted.purpose or parent.purpose,
        started=now,
        expires=expires,
        token_sha256="",
        parent=parent.id,
        chain=_joined(parent.chain, actor),
        launched=None,
    )


def check_room(human: str, tasks: Iterable[Task], now: float) -> None:
    """Raises DelegationError when as much as may be is cut for this person at once."""
    parts = [one for one in tasks if one.human == human and (one.parent or not one.of_a_person) and one.live(now)]
    if len(parts) >= MAX_PARTS:
        raise _no_room(f"{MAX_PARTS:,} parts are live for {human}, which is the most at once")
    compiled = frozenset[str]().union(*(expressions(one.reach) for one in parts))
    if sum(listed(one.reach) for one in parts) + EXPRESSION_WEIGHT * len(compiled) >= MAX_PARTS_LISTED:
        raise _no_room(f"the parts that are live for {human} list as many tools as there may be at once")


def with_what_was_cut(first: Collection[str], tasks: Iterable[Task]) -> list[Task]:
    """Those of the `tasks` with these ids and all that was cut from them, each before what was cut from it.

    Without recursion: whoever holds a task may cut from it, and from that, as often as they like.
    """
    parts: dict[str | None, list[Task]] = {}
    found = []
    for task in tasks:
        if task.id in first:
            found.append(task)
        else:
            parts.setdefault(task.parent, []).append(task)
    for task in found:
        found.extend(parts.pop(task.id, ()))
    return found


def _fewer(parent: Task, wanted: Wanted) -> Reach:
    try:
        reach = narrowed(parent.reach, replace(wanted.part, actions=wanted.actions))
    except WiderError as error:
        code = "invalid_scope" if error.key == "actions" else "invalid_authorization_details"
        raise DelegationError(code, str(error), hint=error.hint) from error
    _check_size(reach)
    return reach


def _check_size(reach: Reach) -> None:
    try:
        check_size(reach)
    except UsageError as error:
        raise DelegationError("invalid_authorization_details", str(error), hint=error.hint) from error


def _no_room(message: str) -> DelegationError:
    hint = "use one for many calls, ask for shorter ones, or revoke those that are done"
    return DelegationError(UNAVAILABLE, message, hint=hint)


def _sooner(expires: float, seconds: float | None, now: float) -> float:
    most = min(expires - now, MAX_SECONDS)
    if seconds is None:
        return now + most
    if not 1 <= seconds <= most:
        raise DelegationError(
            "invalid_authorization_details",
            f"`seconds` is {seconds:g}, and at most {most:.0f} are to be had",
            hint="ask for at least 1 and no more than that, and again before they are over",
        )
    return now + seconds


def _joined(chain: tuple[SpiffeId, ...], actor: SpiffeId | None) -> tuple[SpiffeId, ...]:
    if actor is None:
        if chain:
            raise DelegationError(
                "invalid_grant", f"the task is `{chain[-1]}`'s: only an enrolled workload can be handed it"
            )
        return ()
    if chain and chain[-1] == actor:
        return chain
    if actor in chain:
        raise DelegationError("invalid_grant", f"`{actor}` handed this on already: it can't come back to it")
    if len(chain) >= MAX_CHAIN:
        raise DelegationError("invalid_grant", f"the task was handed on {len(chain)} times, which is the most")
    return (*chain, actor)
