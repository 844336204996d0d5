"""Generated decisions about things: a catalogue, policies over circumstances, tasks with lists, approvals."""

import dataclasses
from typing import Any

from hypothesis import strategies as st

from remit.detect import Label
from remit.policy import Action, Intent, PolicyFile, Snapshot
from remit.policy.approval import Approval
from remit.policy.catalogue import NAME
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts, Moment
from remit.policy.mode import Approver
from remit.policy.thing import Thing, ThingKind
from remit.tasks import Constraint, ToolGrant
from tests.oracle.things import Agreed, Listed
from tests.policy.generated import AWKWARD, literal
from tests.policy.worlds import NOW, curl, intent, sid, snapshot, task

PEOPLE = st.sampled_from(["ada", "bob", 'o"neil'])
KINDS = {
    Action.CALL_TOOL: "Tool",
    Action.REGISTER_TOOL: "Tool",
    Action.RETRIEVE: "Source",
    Action.READ_RESOURCE: "Source",
    Action.EXPORT: "Destination",
    Action.USE_CREDENTIAL: "Credential",
}
LABELS = st.sampled_from(["public", "internal", "confidential", "restricted"])
IDS = {"Tool": ["mail/send", "mail/read", 'odd"; permit\n('], "Source": ["wiki"], "Destination": ["archive", "x"]}
PLACE = sid()
CLASSES = ("recipient", "url", "text")

CONJUNCTS = st.one_of(
    PEOPLE.map(lambda name: f"resource.owner == Human::{literal(name)}"),
    st.sampled_from(
        [
            "principal.owner == resource.owner",
            'resource.label == "public"',
            "(resource is Tool && resource.known)",
            "(resource is Tool && resource.side_effects)",
            "(resource is Source && resource.trusted)",
            "(resource is Destination && resource.clearance > 1)",
            'context has args && context.args.untrusted.contains("recipient")',
            'context has args && !context.args.unseen.contains("url")',
            "context has flow && context.flow.high > 1",
            "context has flow && context.flow.untrusted",
            'context has flow && context.flow.did.contains("retrieve")',
            "context has destination && context has flow && context.destination.clearance < context.flow.high",
            'context.presence == "here"',
            'context.facts.contains("disk-encrypted")',
            "context.time.hour > 8",
            "context has task && context.task.fits",
            'context has task && context.task.tools.contains("mail/send")',
            "context has task && context.task.ceiling < 2",
            "(if context has args then true else 9223372036854775807 + 1 == 0)",
            "9223372036854775807 + 1 == 0",
        ]
    ),
)
SCOPES = st.one_of(
    st.just("resource"),
    st.just("resource is Tool"),
    st.sampled_from(['Tool::"mail/send"', 'Source::"wiki"', 'Tool::"unknown"']).map(lambda uid: f"resource == {uid}"),
)


@st.composite
def things(draw: st.DrawFn) -> list[Listed]:
    """Up to one of each name."""
    found = []
    for kind, names in IDS.items():
        for name in draw(st.lists(st.sampled_from(names), unique=True)):
            every: dict[str, dict[str, Any]] = {
                "Tool": {"side_effects": draw(st.booleans())},
                "Source": {"trusted": draw(st.booleans())},
                "Destination": {"clearance": draw(st.integers(0, 3)), "internal": draw(st.booleans())},
            }
            found.append(Listed(kind, name, draw(PEOPLE), draw(LABELS), every[kind]))
    return found


def catalogue(listed: list[Listed]) -> PolicyFile:
    """The same, as a catalogue is written."""
    ranks = ("public", "internal", "confidential", "restricted")
    lines = []
    for one in listed:
        lines.append(f"[{one.kind.lower()}.{_toml(one.id)}]\nowner = {_toml(one.owner)}\nlabel = {_toml(one.label)}")
        for key, value in one.own.items():
            plain = _toml(ranks[value]) if key == "clearance" else str(value).lower()
            lines.append(f"{key} = {plain}")
    return PolicyFile(NAME, "\n".join(lines))


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@st.composite
def policies(draw: st.DrawFn) -> list[str]:
    texts = []
    for number in range(draw(st.integers(1, 6))):
        effect = draw(st.sampled_from(["permit", "permit", "forbid"]))
        notes = f'@id("p{number}")'
        if effect == "permit" and draw(st.integers(0, 2)) == 0:
            notes += f'\n@approval("{draw(st.sampled_from(["owner", "approver"]))}")'
        if effect == "forbid" and draw(st.integers(0, 2)) == 0:
            notes += '\n@mode("observe")'
        actions = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3))
        named = ", ".join(f'Action::"{action}"' for action in actions)
        scope = draw(SCOPES)
        if scope != "resource":  # a scope that no action of the policy can meet is refused when it is loaded
            named = ", ".join(f'Action::"{action}"' for action, kind in KINDS.items() if kind in scope)
        text = f"{notes}\n{effect} (principal, action in [{named}], {scope})"
        for _ in range(draw(st.integers(0, 2))):
            clause = draw(st.sampled_from(["when", "when", "unless"]))
            text += f"\n{clause} {{ {' && '.join(draw(st.lists(CONJUNCTS, min_size=1, max_size=2)))} }}"
        texts.append(text + ";")
    return texts


@st.composite
def circumstances(draw: st.DrawFn) -> Circumstances:
    some = st.lists(st.sampled_from(CLASSES), unique=True).map(lambda found: tuple(sorted(found)))
    args = Arguments(draw(some), draw(some), draw(some), draw(some), draw(some), draw(some))
    flow = FlowFacts(draw(st.integers(0, 3)), draw(st.booleans()), draw(st.sampled_from([(), ("retrieve",)])))
    return Circumstances(
        moment=Moment(draw(st.integers(0, 23)), draw(st.integers(1, 7))),
        presence=draw(st.sampled_from(["here", "away", "unknown"])),
        facts=draw(st.sampled_from([(), ("disk-encrypted",)])),
        args=draw(st.sampled_from([None, args])),
        flow=draw(st.sampled_from([None, flow])),
        destination=draw(st.sampled_from([None, None, "archive", "unknown"])),
    )


@st.composite
def asked_of(draw: st.DrawFn, listed: list[Listed], tasks: list[str | None]) -> Intent:
    action = draw(st.sampled_from(list(KINDS)))
    kind = KINDS[action]
    named = draw(st.sampled_from([one.id for one in listed if one.kind == kind] or ["unknown"]))
    caller = curl(draw(st.sampled_from(["ada", "bob"])), task=draw(st.sampled_from(tasks)))
    made = intent(
        action, caller, PLACE, digest="unknown", model=None, route=draw(st.sampled_from(["call", *AWKWARD]))
    )
    arguments = draw(st.sampled_from([None, {"to": "bob"}, {"to": "eve"}, {"to": "bob", "cc": 'a"b\n'}]))
    so = draw(circumstances())
    destination = so.destination
    if destination is not None and not any(one.kind == "Destination" and one.id == destination for one in listed):
        so = dataclasses.replace(so, destination="unknown")
    return dataclasses.replace(made, thing=_thing(listed, kind, named), arguments=arguments, circumstances=so)


@st.composite
def nearly(draw: st.DrawFn, listed: list[Listed], first: Intent) -> Intent:
    """The same request, but for one thing: a cache or an approval that leaves it out is found out."""
    so = first.circumstances
    flow = so.flow or FlowFacts()
    other = draw(asked_of(listed, [first.caller.task]))
    args = so.args or Arguments()
    return draw(
        st.sampled_from(
            [
                dataclasses.replace(first, arguments={"to": "eve"}),
                dataclasses.replace(first, arguments={"to": "bob"}),
                dataclasses.replace(first, circumstances=other.circumstances),
                dataclasses.replace(first, target="/elsewhere"),
                dataclasses.replace(
                    first, circumstances=dataclasses.replace(so, flow=dataclasses.replace(flow, high=3))
                ),
                dataclasses.replace(first, circumstances=dataclasses.replace(so, flow=FlowFacts(0, untrusted=True))),
                dataclasses.replace(
                    first, circumstances=dataclasses.replace(so, args=dataclasses.replace(args, untrusted=("url",)))
                ),
                dataclasses.replace(first, caller=dataclasses.replace(first.caller, task="t1")),
            ]
        )
    )


def _thing(listed: list[Listed], kind: str, named: str) -> Thing:
    """As an enforcement point has it from the snapshot."""
    found = next((one for one in listed if one.kind == kind and one.id == named), None)
    if found is None:
        return Thing.unknown(ThingKind(kind))
    own = {**found.own, "known": True}
    return Thing(ThingKind(kind), named, found.owner, "", found.label, own)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Snapshot, list[Listed], Intent, Intent, Agreed | None, Approval | None]:
    """What is in force, what is listed, two requests in it, and what was agreed to: the first, or not."""
    listed = draw(things())
    bounds = draw(st.sampled_from([(), (("to", Constraint(one_of=("bob",))),)]))
    held = dataclasses.replace(
        task(*draw(st.lists(st.sampled_from([str(one) for one in KINDS]), min_size=3, unique=True)), on=PLACE),
        tools=(ToolGrant("mail/send", bounds),),
        destinations=draw(st.sampled_from([(), ("archive",)])),
        ceiling=draw(st.sampled_from([Label.INTERNAL, Label.RESTRICTED])),
    )
    snap = snapshot(
        files=[catalogue(listed), *(PolicyFile(f"p{n}.cedar", text) for n, text in enumerate(draw(policies())))],
        tasks=[held],
    )
    first = draw(asked_of(listed, [None, "t1"]))
    second = draw(st.one_of(asked_of(listed, [None, "t1", "other"]), nearly(listed, first)))
    level = draw(st.sampled_from(["owner", "approver", None]))
    if level is None:
        return snap, listed, first, second, None, None
    until = draw(st.sampled_from([NOW, NOW + 1]))
    agreed = Agreed(first, snap.policy_set, level, until)
    by, requester = "carol", first.caller.human
    approval = Approval("a1", first.binding, snap.policy_set, Approver[level.upper()], by, requester, until)
    return snap, listed, first, second, agreed, approval
