"""A question in words: who, which action, what, and the circumstances that are to be supposed. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.detect import Label
from remit.errors import NotFoundError, RemitError, UsageError
from remit.identity import Proof, SpiffeId
from remit.inventory import Workload
from remit.policy.access import Access
from remit.policy.circumstances import PRESENCES, Arguments, FlowFacts, Moment
from remit.policy.in_force import InForce
from remit.policy.intent import SERVER, Action
from remit.policy.outcome import Answer, answer_of
from remit.policy.question import KNOWN_DIGEST, USER, Question, TaskFact, in_general
from remit.policy.schema import nearest
from remit.policy.thing import RANKS, UNKNOWN, ThingKind

# What an action is on; those that are not here are on workloads. The schema has the same.
ON: Final[Mapping[Action, ThingKind]] = {
    Action.CALL_TOOL: ThingKind.TOOL,
    Action.REGISTER_TOOL: ThingKind.TOOL,
    Action.RETRIEVE: ThingKind.SOURCE,
    Action.READ_RESOURCE: ThingKind.SOURCE,
    Action.GET_PROMPT: ThingKind.SOURCE,
    Action.EXPORT: ThingKind.DESTINATION,
    Action.USE_CREDENTIAL: ThingKind.CREDENTIAL,
    Action.DEPLOY_MODEL: ThingKind.MODEL,
    Action.APPROVE: ThingKind.TASK,
    Action.ACCESS: ThingKind.RESOURCE,
}
ON_WORKLOADS: Final = (*SERVER, Action.SAMPLE, Action.ELICIT)
_OF_ACCESS: Final = ("says", "who_is", "what_is", "same")
_ARGUMENTS: Final = ("human", "trusted", "claimed", "untrusted", "unseen")


@dataclass(frozen=True, slots=True)
class Supposed:
    """`given` holds circumstances by their names in the schema: `presence`, `flow`, `args`, `task`, `model` …"""

    who: str
    action: str
    what: str
    given: Mapping[str, Any]


def answer(in_force: InForce, supposed: Supposed) -> Answer:
    """What the policies say to it; raises UsageError for what can't be asked, NotFoundError for names."""
    question = question_of(in_force, supposed)
    labels = [label for label in Label if label.value in question.found_labels]
    return answer_of(in_force.ask(question), labels)


def question_of(in_force: InForce, supposed: Supposed) -> Question:
    """Unless `given` says otherwise: by a caller known beyond doubt, of an approved model, nothing found."""
    action = _action(supposed.action)
    principal, own, human = _who(in_force, supposed.who)
    made = _asked(in_force, action, supposed.what, principal, own, human)
    for key, value in supposed.given.items():
        if key not in _GIVEN:
            raise UsageError(f"`{key}` can't be supposed", hint=_near(key, frozenset(_GIVEN)))
        made = _GIVEN[key](made, value)
    return made


def _asked(
    in_force: InForce, action: Action, what: str, principal: SpiffeId, own: Workload | None, human: str
) -> Question:
    if action not in ON:
        target = _workload(in_force, what)
        return replace(in_general(principal, own, human, target, in_force.snapshot.grade), action=action)
    thing = in_force.thing(ON[action], what)
    if what != UNKNOWN and thing.id == UNKNOWN and ON[action] is not ThingKind.TASK:
        listed = frozenset(name for kind, name in in_force.world.things if kind is ON[action])
        hint = _near(what, listed) if listed else f"`{UNKNOWN}` stands for all that it doesn't list"
        raise NotFoundError(f"the catalogue lists no {ON[action].value.lower()} `{what}`", hint=hint)
    at = SpiffeId.of(in_force.world.trust_domain)
    # a thing has no models and no server of its own: the rest is as of any well-known call
    return Question(
        principal, own.owner if own else human, own is not None, human, action, at, thing.owner, "unix", True, False,
        "", UNKNOWN, (), (), None, "", in_force.snapshot.grade, thing=thing,
    )  # fmt: skip


def _action(said: str) -> Action:
    for one in Action:
        if one.value == said:
            return one
    raise UsageError(f"`{said}` is no action", hint=_near(said, frozenset(one.value for one in Action)))


def _who(in_force: InForce, who: str) -> tuple[SpiffeId, Workload | None, str]:
    """A workload by name or SPIFFE ID, else a person by name."""
    own = _named(in_force, who)
    if own is not None:
        return own.spiffe_id, own, own.owner
    people = frozenset(human.name for human in in_force.snapshot.humans)
    if who not in people:
        names = people | {one.name for one in in_force.world.workloads.values()}
        raise NotFoundError(f"nobody is called `{who}`", hint=_near(who, names))
    try:
        return SpiffeId.of(in_force.world.trust_domain, USER, who), None, who
    except RemitError as error:
        raise UsageError(f"`{who}` can't be in a SPIFFE ID: {error}") from None


def _workload(in_force: InForce, what: str) -> Workload:
    found = _named(in_force, what)
    if found is None:
        names = frozenset(one.name for one in in_force.world.workloads.values())
        raise NotFoundError(f"no workload is called `{what}`", hint=_near(what, names))
    return found


def _named(in_force: InForce, name: str) -> Workload | None:
    rows = in_force.world.workloads.values()
    return next((one for one in rows if name in (one.name, str(one.spiffe_id))), None)


def _near(word: str, choices: frozenset[str]) -> str:
    near = nearest(word, choices)
    return f"did you mean `{near}`?" if near else "one of " + ", ".join(f"`{name}`" for name in sorted(choices)[:20])


def _checked(kind: type, key: str, value: Any) -> Any:
    if type(value) is not kind:
        raise UsageError(f"`{key}` is a {kind.__name__}, not `{value!r}`")
    return value


def _words(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"`{key}` is a list of words, not `{value!r}`")
    return tuple(sorted(set(value)))


def _fields(key: str, value: Any, fields: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"`{key}` is a table")
    for field in value:
        if field not in fields:
            raise UsageError(f"`{key}.{field}` means nothing", hint=_near(field, frozenset(fields)))
    return value


def _one_of(key: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UsageError(f"`{key}` can't be `{value}`", hint=_near(str(value), frozenset(choices)))
    return str(value)


def _plain(key: str, kind: type) -> "Given":
    return lambda question, value: replace(question, **{key: _checked(kind, key, value)})


def _circumstance(question: Question, **changed: Any) -> Question:
    return replace(question, circumstances=replace(question.circumstances, **changed))


def _rank(key: str, value: Any) -> int:
    return RANKS[_one_of(key, value, tuple(RANKS))]


def _model(question: Question, value: Any) -> Question:
    row = _fields("model", value, ("name", "digest", "known", "approved"))
    digest = KNOWN_DIGEST + "00" * 32 if row.get("known", True) else UNKNOWN
    return replace(
        question,
        model=_checked(str, "model.name", row.get("name", question.model)),
        digest=_checked(str, "model.digest", row.get("digest", digest)),
        approved=_checked(bool, "model.approved", row.get("approved", question.approved)),
    )


def _labels(question: Question, value: Any) -> Question:
    words = _words("found_labels", value)
    for word in words:
        _one_of("found_labels", word, tuple(label.value for label in Label))
    return replace(question, found_labels=words)


def _task(question: Question, value: Any) -> Question:
    row = _fields("task", value, ("id", "actions", "tools", "fits", "ceiling", "profile"))
    return replace(
        question,
        task=TaskFact(
            _checked(str, "task.id", row.get("id", "t-supposed")),
            question.resource,
            _words("task.actions", row.get("actions", [question.action.value])),
            _words("task.tools", row.get("tools", [])),
            _checked(bool, "task.fits", row.get("fits", True)),
            _rank("task.ceiling", row.get("ceiling", Label.RESTRICTED.value)),
            _checked(str, "task.profile", row.get("profile", "")),
        ),
    )


def _args(question: Question, value: Any) -> Question:
    row = _fields("args", value, ("classes", *_ARGUMENTS))
    sets = {key: _words(f"args.{key}", row.get(key, [])) for key in _ARGUMENTS}
    every = {*_words("args.classes", row.get("classes", [])), *(one for words in sets.values() for one in words)}
    return _circumstance(question, args=Arguments(classes=tuple(sorted(every)), **sets))


def _flow(question: Question, value: Any) -> Question:
    row = _fields("flow", value, ("high", "untrusted", "did"))
    high = _rank("flow.high", row.get("high", Label.PUBLIC.value))
    untrusted = _checked(bool, "flow.untrusted", row.get("untrusted", False))
    return _circumstance(question, flow=FlowFacts(high, untrusted, _words("flow.did", row.get("did", []))))


def _access(question: Question, value: Any) -> Question:
    row = _fields("access", value, ("name", "subject", "who", "what", *_OF_ACCESS))
    words = {key: _checked(str, f"access.{key}", row.get(key, "")) for key in ("name", "who", "what")}
    subject = _checked(str, "access.subject", row.get("subject", UNKNOWN))
    says, who_is, what_is, same = (_words(f"access.{key}", row.get(key, [])) for key in _OF_ACCESS)
    asked = Access(words["name"], words["who"], words["what"], subject, says, who_is, what_is, same)
    return _circumstance(question, access=asked)


def _time(question: Question, value: Any) -> Question:
    row = _fields("time", value, ("hour", "weekday"))
    hour, weekday = (_checked(int, f"time.{key}", row.get(key, low)) for key, low in (("hour", 0), ("weekday", 1)))
    if not (0 <= hour <= 23 and 1 <= weekday <= 7):
        raise UsageError("`time` is an hour from 0 to 23 and a weekday from 1, Monday, to 7")
    return _circumstance(question, moment=Moment(hour, weekday))


def _chain(question: Question, value: Any) -> Question:
    try:
        return _circumstance(question, chain=tuple(SpiffeId.parse(one) for one in _words("chain", value)))
    except RemitError as error:
        raise UsageError(f"`chain`: {error}") from None


Given = Callable[[Question, Any], Question]
_GIVEN: Final[Mapping[str, Given]] = {
    "proof": lambda q, v: replace(q, proof=_one_of("proof", v, tuple(proof.value for proof in Proof))),
    "exhaustive": _plain("exhaustive", bool),
    "stream": _plain("stream", bool),
    "model": _model,
    "found": lambda q, v: replace(q, found=_words("found", v)),
    "found_labels": _labels,
    "task": _task,
    "asked": _plain("asked", str),
    "grade": lambda q, v: replace(q, grade=_one_of("grade", v, ("A", "B", "C"))),
    "facts": lambda q, v: _circumstance(q, facts=_words("facts", v)),
    "presence": lambda q, v: _circumstance(q, presence=_one_of("presence", v, PRESENCES)),
    "time": _time,
    "zone": lambda q, v: _circumstance(q, zone=_checked(str, "zone", v)),
    "args": _args,
    "flow": _flow,
    "access": _access,
    "destination": lambda q, v: _circumstance(q, destination=_checked(str, "destination", v)),
    "chain": _chain,
}
