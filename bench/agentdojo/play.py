"""One task played through a flow and Cedar: what was heard, by origin, and each call as an outcome."""

import enum
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.agentdojo.suite import Call, Tool, World
from bench.agentdojo.tool_list import changes, destroys, tools_of
from remit.flow import ArgumentClass, Flow, Origin, classes
from remit.identity import SpiffeId
from remit.policy import Action, PolicyFile, Snapshot, policy_set_digest
from remit.policy.catalogue import NAME
from remit.policy.circumstances import Circumstances
from remit.policy.from_flow import arguments, flow_facts
from remit.policy.in_force import InForce
from remit.policy.question import Question, TaskFact
from remit.policy.thing import ThingKind

HERE: Final = Path(__file__).parent
TRUST_DOMAIN: Final = "bench.example"
PERSON: Final = "emma"


class Outcome(enum.StrEnum):
    ALLOWED = "allowed"
    APPROVAL = "approval"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Guard:
    """Which of the two is on: the list of the task's tools, and who chose where something goes."""

    lists: bool = True
    provenance: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """A suite's: its tools, their classes, and which fields of their answers name things."""

    tools: Mapping[str, Tool]
    classes: Mapping[str, Mapping[str, ArgumentClass]]
    listed: Mapping[str, tuple[str, ...]]
    decides: InForce


def profile(name: str, tools: list[Tool], guard: Guard) -> Profile:
    said = tomllib.loads((HERE / f"suites/{name}.toml").read_text())
    kinds = {}
    for tool in tools:
        own = {place: kind for place, kind in said.get("classes", {}).items() if place.startswith(f"{tool.name}/")}
        override = {place[len(tool.name) :]: ArgumentClass(kind) for place, kind in own.items()}
        kinds[tool.name] = classes(tool.schema, override)
    listed = {tool: tuple(fields) for tool, fields in said.get("listed", {}).items()}
    return Profile({tool.name: tool for tool in tools}, kinds, listed, _in_force(tools, guard))


def _in_force(tools: list[Tool], guard: Guard) -> InForce:
    rows = "".join(f'[tool."{one.name}"]\nside_effects = {str(changes(one)).lower()}\n' for one in tools)
    texts = {NAME: rows, "tools.cedar": (HERE / "tools.cedar").read_text()}
    if guard.provenance:
        texts["provenance.cedar"] = (HERE / "provenance.cedar").read_text()
        texts["destroys.cedar"] = _destroying(tools)
    files = tuple(PolicyFile(name, text) for name, text in texts.items() if text)
    return InForce(
        Snapshot(
            epoch=1,
            issued=0,
            lifetime=3600,
            trust_domain=TRUST_DOMAIN,
            grade="C",
            policy_files=files,
            policy_set=policy_set_digest(files),
            policy_warning="",
            humans=(),
            workloads=(),
            tasks=(),
            x509_authorities=(),
            jwt_authorities={"keys": []},
        )
    )


def _destroying(tools: list[Tool]) -> str:
    named = ", ".join(f'Tool::"{one.name}"' for one in tools if destroys(one))
    return (
        named
        and f"""
        @id("what-destroys-is-asked-for")
        @reason("what it does can't be taken back")
        @approval("owner")
        @on_confidential("allow")
        permit (principal, action == Action::"call_tool", resource)
        when {{ context has task && context has args && context.task.fits && [{named}].contains(resource) }};
    """
    )


@dataclass(slots=True)
class Session:
    """One task of one person: their words are its declaration, everything else is what its tools answered."""

    profile: Profile
    prompt: str
    guard: Guard = Guard()
    flow: Flow = field(default_factory=Flow)
    tools: frozenset[str] = frozenset()
    entries: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.flow.heard(self.prompt, Origin.HUMAN)
        self.tools = tools_of(self.prompt, self.profile.tools.values())

    def decide(self, call: Call) -> Outcome:
        told = self.flow.arguments(call.arguments, self.profile.classes[call.tool])
        circumstances = Circumstances(args=arguments(told), flow=flow_facts(self.flow))
        fits = not self.guard.lists or call.tool in self.tools
        thing = self.profile.decides.thing(ThingKind.TOOL, call.tool)
        verdict = self.profile.decides.ask(_question(thing, fits=fits, circumstances=circumstances))
        if verdict.errors:
            raise AssertionError(verdict.errors)
        if not verdict.allowed:
            return Outcome.REFUSED
        return Outcome.APPROVAL if verdict.approver else Outcome.ALLOWED

    def hear(self, call: Call, world: World) -> None:
        """Run it, and hear what it answers."""
        data, text = world.run(call)
        self.flow.did(call.tool)
        fields = self.profile.listed.get(call.tool, ())
        named = set(entries(data, fields))
        self.entries |= named
        self.flow.listed(sorted(named), Origin.TRUSTED)
        if "*" not in fields:
            self.flow.heard(text, Origin.UNTRUSTED)


def entries(data: Any, fields: tuple[str, ...], *, within: bool = False) -> Iterator[str]:
    """The leaves below the named fields; of an answer that is one text, its lines without what they are called."""
    within = within or "*" in fields
    if isinstance(data, Mapping):
        for name, inner in data.items():
            yield from entries(inner, fields, within=within or name in fields)
    elif isinstance(data, list):
        for inner in data:
            yield from entries(inner, fields, within=within)
    elif within and data is not None:
        for line in str(data).splitlines():
            yield from {line.strip(), line.rpartition(":")[2].strip()}


def _question(thing: Any, *, fits: bool, circumstances: Circumstances) -> Question:
    person = SpiffeId.of(TRUST_DOMAIN, "user", PERSON)
    return Question(
        principal=person,
        owner=PERSON,
        enrolled=False,
        human=PERSON,
        action=Action.CALL_TOOL,
        resource=person,
        resource_owner=thing.owner,
        proof="unix",
        exhaustive=True,
        stream=False,
        model="",
        digest="unknown",
        found=(),
        found_labels=(),
        task=TaskFact(hashlib.sha256(thing.id.encode()).hexdigest()[:8], person, ("call_tool",), fits=fits),
        asked=f"call {thing.id}",
        grade="C",
        thing=thing,
        circumstances=circumstances,
    )
