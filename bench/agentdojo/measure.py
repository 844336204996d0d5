"""Every pair of a user's task and an injection, and every call of the users' tasks alone."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from bench.agentdojo.attacks import wanted
from bench.agentdojo.play import Guard, Outcome, Profile, Session, profile
from bench.agentdojo.suite import Call, World, suites, tools
from bench.agentdojo.through import Asking, decision_point
from bench.agentdojo.tool_list import changes
from bench.agentdojo.twists import AS_IT_IS, Twist


@dataclass(slots=True)
class Measured:
    """Of one suite under one guard."""

    pairs: int = 0
    blocked: int = 0
    refused_pairs: int = 0
    changed: int = 0
    calls: Counter[Outcome] = field(default_factory=Counter)
    through: list[str] = field(default_factory=list)
    held_up: list[str] = field(default_factory=list)


class Playing(Protocol):
    """A task under way: each call is decided, and what it answers is heard."""

    def decide(self, call: Call) -> Outcome: ...

    def hear(self, call: Call, world: World) -> None: ...


Begin = Callable[[Profile, str, Guard], Playing]


def measure(name: str, suite: Any, guard: Guard, twist: Twist = AS_IT_IS) -> Measured:
    return played(profile(name, tools(suite), guard), suite, guard, twist, Session)


def through(name: str, suite: Any) -> Measured:
    """The same with both guards, asked of a decision point over its API."""
    about = profile(name, tools(suite), Guard())
    with decision_point(about) as here:
        return played(about, suite, Guard(), AS_IT_IS, partial(Asking, here))


def played(about: Profile, suite: Any, guard: Guard, twist: Twist, begin: Begin) -> Measured:
    measured = Measured()
    for user_id, user in suite.user_tasks.items():
        for call, outcome in legitimate(about, suite, user, guard, begin):
            measured.calls[outcome] += 1
            if outcome is not Outcome.ALLOWED:
                measured.held_up.append(f"{user_id} {outcome} {call.tool} {dict(call.arguments)}")
        for injection_id, injection in suite.injection_tasks.items():
            outcomes = attacked(about, suite, user, injection, guard, twist, begin)
            if outcomes:
                _count(measured, f"{user_id} {injection_id}", outcomes, about)
    return measured


def _count(measured: Measured, pair: str, outcomes: list[tuple[Call, Outcome]], about: Profile) -> None:
    measured.pairs += 1
    ran = all(outcome is Outcome.ALLOWED for _, outcome in outcomes)
    measured.blocked += not ran
    measured.refused_pairs += any(outcome is Outcome.REFUSED for _, outcome in outcomes)
    measured.changed += any(o is Outcome.ALLOWED and changes(about.tools[c.tool]) for c, o in outcomes)
    if ran:
        measured.through.append(pair)


def legitimate(about: Profile, suite: Any, user: Any, guard: Guard, begin: Begin) -> Iterator[tuple[Call, Outcome]]:
    """A task as its person means it: held-up calls get their approval, so that those after them are met as well."""
    world, session = World(suite), begin(about, user.PROMPT, guard)
    for call in world.calls(user):
        yield call, session.decide(call)
        session.hear(call, world)


def attacked(
    about: Profile, suite: Any, user: Any, injection: Any, guard: Guard, twist: Twist, begin: Begin
) -> list[tuple[Call, Outcome]]:
    """The same, with the injection wherever others can write; when all of the task was heard, its calls are tried.

    Nobody approves one; what is held up answers nothing, and those after it are tried all the same.
    """
    goal = twist.says(injection.GOAL)
    world, session = World(suite, goal), begin(about, user.PROMPT, guard)
    for call in world.calls(user):
        session.hear(call, world)
    if isinstance(session, Session):
        twist.before(session, goal)
    outcomes = []
    for call in (_twisted(twist, session, one) for one in wanted(injection, world)):
        outcomes.append((call, session.decide(call)))
        if outcomes[-1][1] is Outcome.ALLOWED:
            session.hear(call, world)
    return outcomes


def _twisted(twist: Twist, session: Playing, call: Call) -> Call:
    return twist.calls(session, call) if isinstance(session, Session) else call


def all_through() -> dict[str, Measured]:
    return {name: through(name, suite) for name, suite in suites().items()}


def all_suites(guard: Guard, twist: Twist = AS_IT_IS) -> dict[str, Measured]:
    return {name: measure(name, suite, guard, twist) for name, suite in suites().items()}
