"""Generated policies, callers, tasks and requests, awkward ones too: quotes, newlines, Unicode, 10 kB."""

import dataclasses
import json

from hypothesis import strategies as st

from remit.detect import Label
from remit.identity import Caller, Proof
from remit.inventory import Workload
from remit.policy import Intent, Snapshot
from remit.policy.intent import SERVER
from remit.tasks import Task
from tests.policy.worlds import BOT, KNOWN, LLAMA, NOW, PROD, curl, intent, sid, snapshot, task, workload

AWKWARD = ['"', "\\", "a\nb", "é✓𝔘", "'; drop", "\x00", "*", "?principal", 'x"}; permit(', "x" * 10_000, ""]
NAMES = st.sampled_from(["ada", "bob", "eve", *AWKWARD])
IDS = [LLAMA, PROD, BOT, sid("user", "ada"), sid("user", "odd")]


def literal(text: str) -> str:
    """A Cedar string literal."""
    plain = "".join(
        character if character.isprintable() and character not in '"\\' else f"\\u{{{ord(character):x}}}"
        for character in text
    )
    return f'"{plain}"'


def _scope(variable: str) -> st.SearchStrategy[str]:
    uids = st.sampled_from(IDS).map(lambda spiffe_id: f"Workload::{literal(str(spiffe_id))}")
    return st.one_of(
        st.just(variable),
        uids.map(lambda uid: f"{variable} == {uid}"),
        uids.map(lambda uid: f"{variable} in {uid}"),
        st.just(f"{variable} is Workload"),
    )


ACTIONS = st.one_of(
    st.just("action"),
    st.sampled_from(list(SERVER)).map(lambda action: f'action == Action::"{action}"'),
    st.lists(st.sampled_from(list(SERVER)), min_size=1, max_size=3).map(
        lambda actions: "action in [" + ", ".join(f'Action::"{action}"' for action in actions) + "]"
    ),
)

# Some compare what slices are cut by, some fail when they are evaluated, some speak of the task.
CONJUNCTS = st.one_of(
    NAMES.map(lambda name: f"resource.owner == Human::{literal(name)}"),
    NAMES.map(lambda name: f"Human::{literal(name)} == principal.owner"),
    NAMES.map(lambda name: f"context.human == Human::{literal(name)}"),
    NAMES.map(lambda name: f"context.model.name == {literal(name)}"),
    NAMES.map(lambda name: f"context.found.contains({literal(name)})"),
    NAMES.map(lambda name: f"resource.owner != Human::{literal(name)}"),
    st.just("principal.owner == resource.owner"),
    st.just("context.model.known"),
    st.just("principal.enrolled"),
    st.just("9223372036854775807 + 1 == 0"),
    st.just("(if context.model.known then true else 9223372036854775807 + 1 == 0)"),
    st.just('context.model.name like "*a*"'),
    st.just('(principal.kind == "agent" || resource.environment == "prod")'),
    st.just("(if context.exhaustive then true else 9223372036854775807 + 1 == 0)"),
)
TASKED = st.sampled_from(
    [
        "context has task",
        'context has task && context.task.actions.contains("infer")',
        "context has task && context.task.on == resource",
    ]
)


@st.composite
def policies(draw: st.DrawFn, *, tasked: bool = True) -> list[str]:
    """One to eight policies, numbered."""
    conjuncts = st.one_of(CONJUNCTS, TASKED) if tasked else CONJUNCTS
    texts = []
    for number in range(draw(st.integers(1, 8))):
        effect = draw(st.sampled_from(["permit", "permit", "permit", "forbid"]))
        notes = f'@id("p{number}")'
        if effect == "permit" and draw(st.booleans()):
            notes += f'\n@on_restricted("{draw(st.sampled_from(["mask", "refuse", "allow"]))}")'
        text = f"{notes}\n{effect} ({draw(_scope('principal'))}, {draw(ACTIONS)}, {draw(_scope('resource'))})"
        for _ in range(draw(st.integers(0, 2))):
            clause = draw(st.sampled_from(["when", "when", "unless"]))
            text += f"\n{clause} {{ {' && '.join(draw(st.lists(conjuncts, min_size=1, max_size=3)))} }}"
        texts.append(text + ";")
    return texts


@st.composite
def callers(draw: st.DrawFn, owner_of_bot: str) -> Caller:
    if draw(st.integers(0, 3)) == 0:
        return Caller(BOT, owner_of_bot, "p", Proof.MTLS, None, True, draw(st.booleans()), None)
    human = draw(NAMES)
    path = human if human in {"ada", "bob", "eve"} else "odd"
    return dataclasses.replace(curl(exhaustive=draw(st.booleans())), spiffe_id=sid("user", path), human=human)


@st.composite
def households(draw: st.DrawFn, *, tasked: bool = True) -> tuple[Snapshot, Intent]:
    """A snapshot and a request in it."""
    bots_owner = draw(NAMES)
    workloads: list[Workload] = [
        workload(LLAMA, draw(NAMES)),
        workload(PROD, draw(NAMES), "prod"),
        workload(BOT, bots_owner),
    ]
    caller = draw(callers(bots_owner))
    tasks: list[Task] = []
    if draw(st.booleans()):
        actions = draw(st.lists(st.sampled_from(list(SERVER)), max_size=6))
        named = draw(st.sampled_from(["t1", *AWKWARD]))
        on = draw(st.sampled_from([LLAMA, LLAMA, PROD]))
        tasks = [task(*actions, human=draw(st.sampled_from([caller.human, "eve"])), on=on, named=named)]
        caller = dataclasses.replace(caller, task=draw(st.sampled_from([named, named, None, "other"])))
    texts = draw(policies(tasked=tasked))
    asked = intent(
        draw(st.sampled_from(list(SERVER))),
        caller,
        draw(st.sampled_from([LLAMA, LLAMA, PROD])),
        digest=draw(st.sampled_from([KNOWN, "unknown"])),
        model=draw(st.one_of(st.none(), NAMES, st.sampled_from(["0.5", "7.0"]))),
        found=tuple(draw(st.lists(st.tuples(NAMES, st.sampled_from(list(Label))), max_size=3))),
        route=draw(st.sampled_from(["GET /x", *AWKWARD])),
    )
    return snapshot(*texts, tasks=tasks, workloads=workloads), asked


def shown(snap: Snapshot, asked: Intent) -> str:
    """For a failing example."""
    return json.dumps([file.text for file in snap.policy_files])[:2000] + repr(asked)[:1000] + repr(NOW)
