"""The life of a workload, as a table: who may move it from which state to which, and what that does; pure."""

import dataclasses
import enum
from dataclasses import dataclass
from typing import Final

from remit.errors import RemitError
from remit.inventory.workload import LifeState, Workload


class LifecycleError(RemitError):
    """The table has no such move for this workload, or not for whoever asked for it; nothing was changed."""

    exit_code = 3


class Verb(enum.StrEnum):
    OWN = "own"
    ACTIVATE = "activate"
    SUSPEND = "suspend"
    RESUME = "resume"
    TRANSFER = "transfer"
    RETIRE = "retire"


class Actor(enum.StrEnum):
    """Who causes a move. The operator is root, or whoever runs this Remit."""

    OWNER = "its owner"
    OPERATOR = "root or whoever runs Remit"
    REMIT = "Remit itself"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a move does to what the workload holds. `ends`: its tasks end, its open calls are cut."""

    svids: str
    tasks: str
    leases: str
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: `verb` takes a workload from `before` to `after`, when one of `by` says so."""

    verb: Verb
    before: LifeState
    after: LifeState
    by: tuple[Actor, ...]
    effect: Effect


PEOPLE: Final = (Actor.OWNER, Actor.OPERATOR)
ANYONE: Final = (*PEOPLE, Actor.REMIT)
FIRST: Final = LifeState.DISCOVERED
FINAL: Final = LifeState.RETIRED
WITHHELD: Final = (LifeState.SUSPENDED, FINAL)  # what somebody took out of force
STRAIGHT_TO_ACTIVE: Final = (Verb.OWN, Verb.ACTIVATE)  # what `remit up` does with a server that it found

_NOT_YET = Effect("none is issued", "none can be started", "none is lent")
_ON = Effect("issued when its process asks", "its owner can start them", "lent for each permit")
_OFF = Effect(
    "none is issued, those that are out are refused", "ended, their tokens with them", "given back, calls cut", True
)
_ON_AGAIN = Effect("issued again", "new ones can be started; what ended stays ended", "lent for each permit")
_NEVER = Effect(
    "never again, those that are out are refused", "ended, their tokens with them", "given back, calls cut", True
)
_ANOTHER_S = Effect(
    "go on: they name the workload, not its owner",
    "ended: they were its former owner's",
    "those of its tasks given back, their calls cut",
    True,
)
_OWNED = (LifeState.OWNED, LifeState.ACTIVE, LifeState.SUSPENDED)

TABLE: Final = (
    Transition(Verb.OWN, LifeState.DISCOVERED, LifeState.OWNED, ANYONE, _NOT_YET),
    Transition(Verb.ACTIVATE, LifeState.OWNED, LifeState.ACTIVE, ANYONE, _ON),
    Transition(Verb.SUSPEND, LifeState.ACTIVE, LifeState.SUSPENDED, ANYONE, _OFF),
    Transition(Verb.RESUME, LifeState.SUSPENDED, LifeState.ACTIVE, PEOPLE, _ON_AGAIN),
    *(Transition(Verb.TRANSFER, state, state, PEOPLE, _ANOTHER_S) for state in _OWNED),
    *(Transition(Verb.RETIRE, state, FINAL, PEOPLE, _NEVER) for state in LifeState if state is not FINAL),
)
PARTICIPLES: Final = {
    Verb.OWN: "owned",
    Verb.ACTIVATE: "activated",
    Verb.SUSPEND: "suspended",
    Verb.RESUME: "resumed",
    Verb.TRANSFER: "transferred",
    Verb.RETIRE: "retired",
}
_ONWARD: Final = {  # the move that brings a workload nearer to being active
    LifeState.DISCOVERED: Verb.OWN,
    LifeState.OWNED: Verb.ACTIVATE,
    LifeState.SUSPENDED: Verb.RESUME,
}


def possible(state: LifeState) -> tuple[Verb, ...]:
    """The verbs that the table has for a workload in `state`."""
    return tuple(row.verb for row in TABLE if row.before is state)


def transition(workload: Workload, verb: Verb, actor: Actor) -> Transition:
    """The row by which `actor` moves `workload`; raises LifecycleError, which says why there is none."""
    row = next((row for row in TABLE if (row.verb, row.before) == (verb, workload.state)), None)
    if row is None:
        raise LifecycleError(_why_not(workload, verb), hint=_instead(workload.state))
    if actor not in row.by:
        raise LifecycleError(f"`{workload.name}` can be {PARTICIPLES[verb]} by {_or(row.by)}, not by {actor}")
    return row


def moved(workload: Workload, verb: Verb, actor: Actor, *, now: float, owner: str = "") -> Workload:
    """`workload` after `verb`, at `now` (Unix seconds); raises LifecycleError.

    `owner` is who answers for it from then on, when it is owned or transferred: without one it can't be.
    """
    row = transition(workload, verb, actor)
    answers = owner if verb in {Verb.OWN, Verb.TRANSFER} else workload.owner
    if row.after is not FINAL and not answers:
        raise LifecycleError(f"`{workload.name}` has no owner", hint="name the person who answers for it")
    if verb is Verb.TRANSFER and answers == workload.owner:
        raise LifecycleError(f"`{workload.name}` is {answers}'s already", hint="name another person")
    since = workload.state_since if row.after is row.before else now
    return dataclasses.replace(workload, owner=answers, state=row.after, state_since=since)


def same_life(fresh: Workload, known: Workload) -> Workload:
    """`fresh`, a known workload that is enrolled again, with its life, its owner and what was declared of it: a new
    process changes none of that, nor does who starts Remit.
    """
    return dataclasses.replace(
        fresh,
        state=known.state,
        state_since=known.state_since,
        purpose=known.purpose,
        vendor=known.vendor,
        data_sets=known.data_sets,
        review_due=known.review_due,
        environment=known.environment,
        zone=known.zone,
        label=known.label,
        capabilities=known.capabilities,
        owner=known.owner,
    )


def standing(workload: Workload) -> str:
    """Why a workload that is not active does nothing, and who could change that: words, never a command."""
    onward = _ONWARD.get(workload.state)
    if onward is None:
        return f"{workload.name} is {workload.state}, which is final"
    who = f"its owner, {workload.owner}, or root" if workload.owner else "root, or whoever runs Remit,"
    return f"{workload.name} is {workload.state} until {who} {onward}s it"


def diagram() -> str:
    """The table as a mermaid state diagram, as docs/lifecycle.md has it."""
    moves = [f"    {row.before} --> {row.after}: {row.verb}" for row in TABLE]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {FIRST}", *moves, f"    {FINAL} --> [*]"]) + "\n"


def rows() -> list[tuple[str, ...]]:
    """The table as docs/lifecycle.md has it: verb, from, to, by whom, SVIDs, tasks, leases."""
    return [
        (f"`{row.verb}`", row.before, row.after, _or(row.by), row.effect.svids, row.effect.tasks, row.effect.leases)
        for row in TABLE
    ]


def _why_not(workload: Workload, verb: Verb) -> str:
    if workload.state is FINAL:
        return f"`{workload.name}` is {FINAL}, which is final: it can't be {PARTICIPLES[verb]}"
    befores = _or(tuple(row.before for row in TABLE if row.verb is verb))
    return f"`{workload.name}` is {workload.state}: only what is {befores} can be {PARTICIPLES[verb]}"


def _instead(state: LifeState) -> str:
    verbs = ", ".join(possible(state))
    return f"possible now: {verbs}" if verbs else "nothing more is possible: add another workload"


def _or(words: tuple[str, ...]) -> str:
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]
