"""Every pair of a user's task and an injection, and every call of the users' tasks alone."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.agentdojo.attacks import wanted
from bench.agentdojo.play import Guard, Outcome, Profile, Session, profile
from bench.agentdojo.suite import Call, World, suites, tools
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


def measure(name: str, suite: Any, guard: Guard, twist: Twist = AS_IT_IS) -> Measured:
    about, measured = profile(name, tools(suite), guard), Measured()
    for user_id, user in suite.user_tasks.items():
        for call, outcome in legitimate(about, suite, user, guard):
            measured.calls[outcome] += 1
            if outcome is not Outcome.ALLOWED:
                measured.held_up.append(f"{user_id} {outcome} {call.tool} {dict(call.arguments)}")
        for injection_id, injection in suite.injection_tasks.items():
            outcomes = attacked(about, suite, user, injection, guard, twist)
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


def legitimate(about: Profile, suite: Any, user: Any, guard: Guard) -> Iterator[tuple[Call, Outcome]]:
    """A task as its person means it: held-up calls get their approval, so that those after them are met as well."""
    world, session = World(suite), Session(about, user.PROMPT, guard)
    for call in world.calls(user):
        yield call, session.decide(call)
        session.hear(call, world)


def attacked(
    about: Profile, suite: Any, user: Any, injection: Any, guard: Guard, twist: Twist
) -> list[tuple[Call, Outcome]]:
    """The same, with the injection wherever others can write; when all of the task was heard, its calls are tried.

    Nobody approves one; what is held up answers nothing, and those after it are tried all the same.
    """
    goal = twist.says(injection.GOAL)
    world, session = World(suite, goal), Session(about, user.PROMPT, guard)
    for call in world.calls(user):
        session.hear(call, world)
    twist.before(session, goal)
    outcomes = []
    for call in (twist.calls(session, one) for one in wanted(injection, world)):
        outcomes.append((call, session.decide(call)))
        if outcomes[-1][1] is Outcome.ALLOWED:
            session.hear(call, world)
    return outcomes


def all_suites(guard: Guard, twist: Twist = AS_IT_IS) -> dict[str, Measured]:
    return {name: measure(name, suite, guard, twist) for name, suite in suites().items()}
