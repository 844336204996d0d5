"""What a change of policies gives and takes: who may do what with what, before and after. Pure.

All known people, workloads and things are tried with all actions, and for each *every* circumstance at once
(`residue.py`). What is equal to Cedar is tried once. Not tried: who and what isn't known yet, and facts of known ones
that change.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cedarpy import pst

from remit.identity import SpiffeId
from remit.policy.difference import Kind, difference
from remit.policy.in_force import InForce
from remit.policy.intent import Action
from remit.policy.permit import PolicyRef
from remit.policy.question import USER, person_entity, workload_entity
from remit.policy.residue import Actor, Residue, Residues, Target
from remit.policy.supposed import ON, ON_WORKLOADS
from remit.policy.thing import NAMED, ThingKind

SOMEBODY: Final = "anybody else"
_SOMEBODY_ID: Final = "somebody-nobody-knows"


@dataclass(frozen=True, slots=True)
class Change:
    """For all of `who` on all of `what` the same. `by` are the policies that make the difference."""

    kind: Kind
    who: tuple[str, ...]
    action: Action
    what: tuple[str, ...]
    before: str
    after: str
    by: tuple[PolicyRef, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """`asked` counts (who, action, what); `tried` what was put to Cedar, as equal ones need it once."""

    changes: tuple[Change, ...]
    who: int
    what: int
    asked: int
    tried: int

    @property
    def grows(self) -> bool:
        return any(change.kind.grows for change in self.changes)


def compare(old: InForce, new: InForce) -> Compared:
    """Gains and losses from `old` to `new`, which know of the same people and workloads."""
    comparison = _Comparison(old, new)
    changes = tuple(sorted(_merged(comparison.changes()), key=lambda one: (not one.kind.grows, one.action, one.who)))
    return Compared(changes, comparison.who, comparison.what, comparison.asked, len(comparison.memo))


@dataclass(frozen=True, slots=True)
class _Group:
    """Targets or actors that are one to Cedar: `shape` is what it could tell them apart by, but their owner."""

    shape: str
    owner: str
    names: tuple[str, ...]
    ids: frozenset[str]


class _Comparison:
    def __init__(self, old: InForce, new: InForce) -> None:
        self._sides = (Residues(old), Residues(new))
        self._worlds = (old, new)
        trees = tuple(policy.tree for side in (old, new) for policy in side.policies.policies)
        self._named = {uid.id for uid in pst.entity_uids(trees)}
        destinations = [
            {k: t for k, t in side.world.things.items() if k[0] is ThingKind.DESTINATION} for side in (old, new)
        ]
        self._moved = destinations[0] != destinations[1] and any("destination" in repr(tree) for tree in trees)
        self.memo: dict[object, tuple[Kind, str, str, tuple[PolicyRef, ...]] | None] = {}
        self._actors: dict[str, tuple[Actor, Actor]] = {}
        self._targets: dict[tuple[str, str], tuple[Target, Target]] = {}
        self.who = self.what = self.asked = 0

    def changes(self) -> Iterator[Change]:
        actors = self._group(self._all_actors())
        workloads = self._group(self._workloads())
        self.who = sum(len(group.names) for group in actors)
        self.what = sum(len(group.names) for group in workloads)
        yield from self._on(actors, workloads, "Workload", ON_WORKLOADS)
        for kind in ThingKind:
            things = self._group(self._things(kind))
            self.what += sum(len(group.names) for group in things)
            yield from self._on(
                actors, things, kind.value, tuple(action for action in Action if ON.get(action) is kind)
            )

    def _on(
        self, actors: list[_Group], targets: list[_Group], kind: str, actions: tuple[Action, ...]
    ) -> Iterator[Change]:
        for actor in actors:
            for target in targets:
                yield from self._pair(actor, target, kind, actions)

    def _pair(self, actor: _Group, target: _Group, kind: str, actions: tuple[Action, ...]) -> Iterator[Change]:
        """All of one group on all of another; one on itself apart."""
        itself = actor.ids & target.ids
        self.asked += len(actor.ids) * len(target.ids) * len(actions)
        others = len(actor.ids) * len(target.ids) > len(itself)
        key = (actor.shape, *_owners(actor.owner, target.owner, self._named), kind, target.shape)
        for action in actions:
            if others:
                a, t = _apart(actor.ids, target.ids)
                yield from self._told((*key, action, False), a, action, (kind, t), actor.names, target.names)
            for one in itself:
                names = (self._actors[one][0].name,)
                yield from self._told((*key, action, True), one, action, (kind, one), names, names)

    def _told(
        self,
        key: object,
        actor: str,
        action: Action,
        target: tuple[str, str],
        who: tuple[str, ...],
        what: tuple[str, ...],
    ) -> Iterator[Change]:
        if key not in self.memo:
            self.memo[key] = self._difference(actor, action, target)
        found = self.memo[key]
        if found is not None:
            yield Change(found[0], who, action, what, found[1], found[2], found[3])

    def _difference(
        self, actor: str, action: Action, target: tuple[str, str]
    ) -> tuple[Kind, str, str, tuple[PolicyRef, ...]] | None:
        actors, targets = self._actors[actor], self._targets[target]
        wanted = [
            side.candidates(actors[0].id, action, each.id) for side, each in zip(self._sides, targets, strict=True)
        ]
        said = [sorted(side.says[at] for at in some) for side, some in zip(self._sides, wanted, strict=True)]
        if said[0] == said[1] and targets[0].entity == targets[1].entity and not self._moved:
            return None
        before, after = (
            side.residue(some, who, action, what)
            for side, some, who, what in zip(self._sides, wanted, actors, targets, strict=True)
        )
        kind, by = difference(before, after, moved=self._moved)
        return None if kind is None else (kind, _words(before), _words(after), by)

    def _all_actors(self) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
        old, new = self._worlds
        domain = new.world.trust_domain
        for name, who in [*((human.name, human.name) for human in new.snapshot.humans), (SOMEBODY, _SOMEBODY_ID)]:
            spiffe_id = SpiffeId.of(domain, USER, who)
            pair = [
                Actor(name, str(spiffe_id), who, side.world.entities(spiffe_id, who, enrolled=False))
                for side in (old, new)
            ]
            self._actors[str(spiffe_id)] = (pair[0], pair[1])
            yield str(spiffe_id), name, who, person_entity(spiffe_id, who)
        for spiffe_id, row in new.world.workloads.items():
            pair = [
                Actor(row.name, str(spiffe_id), row.owner, side.world.entities(spiffe_id, row.owner, enrolled=True))
                for side in (old, new)
            ]
            self._actors[str(spiffe_id)] = (pair[0], pair[1])
            yield str(spiffe_id), row.name, row.owner, workload_entity(row)

    def _workloads(self) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
        for spiffe_id, row in self._worlds[1].world.workloads.items():
            entity = workload_entity(row)
            target = Target(row.name, "Workload", str(spiffe_id), entity)
            self._targets["Workload", target.id] = (target, target)
            yield target.id, row.name, row.owner, entity

    def _things(self, kind: ThingKind) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
        names = (
            {name: None for side in self._worlds for of, name in side.world.things if of is kind}
            if kind in NAMED
            else {}
        )
        for name in [*names, "unknown"]:
            pair = [side.thing(kind, name) for side in self._worlds]
            targets = [Target(name, kind.value, one.id, one.to_entity()) for one in pair]
            self._targets[kind.value, name] = (targets[0], targets[1])
            both = {"uid": {"id": name}, "attrs": [target.entity for target in targets]}
            same = pair[0] == pair[1]
            yield name, name, pair[1].owner if same else "", targets[1].entity if same else both

    def _group(self, rows: Iterator[tuple[str, str, str, Mapping[str, Any]]]) -> list[_Group]:
        groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for named, name, owner, entity in rows:
            groups.setdefault((self._shape(named, owner, entity), owner), []).append((named, name))
        return [
            _Group(shape, owner, tuple(name for _, name in some), frozenset(named for named, _ in some))
            for (shape, owner), some in groups.items()
        ]

    def _shape(self, named: str, owner: str, entity: Mapping[str, Any]) -> str:
        attributes = entity["attrs"]
        if isinstance(attributes, dict):
            attributes = {key: value for key, value in attributes.items() if key != "owner"}
        own = named if named in self._named else ""
        return json.dumps([own, attributes, named if isinstance(attributes, list) else ""], sort_keys=True)


def _words(residue: Residue) -> str:
    return residue.reach.value + (", with approval" if residue.approval else "")


def _owners(one: str, other: str, named: set[str]) -> tuple[str, str]:
    """The two owners as far as policies can tell them apart: by name where it is named, else whether they are one."""
    first = one if one in named or not one else "\0first"
    if other == one:
        return first, first
    return first, other if other in named or not other else "\0second"


def _apart(actors: frozenset[str], targets: frozenset[str]) -> tuple[str, str]:
    """One of each that isn't the other."""
    return next((a, t) for a in sorted(actors) for t in sorted(targets) if a != t)


def _merged(changes: Iterator[Change]) -> list[Change]:
    """Those that differ only by who, or only by what, as one."""
    by_what: dict[object, list[Change]] = {}
    for one in changes:
        by_what.setdefault((one.kind, one.who, one.action, one.before, one.after, one.by), []).append(one)
    rows = [_joined(some, "what") for some in by_what.values()]
    by_who: dict[object, list[Change]] = {}
    for one in rows:
        by_who.setdefault((one.kind, one.what, one.action, one.before, one.after, one.by), []).append(one)
    return [_joined(some, "who") for some in by_who.values()]


def _joined(some: list[Change], key: str) -> Change:
    names = tuple(dict.fromkeys(name for one in some for name in getattr(one, key)))
    first = some[0]
    who, what = (names, first.what) if key == "who" else (first.who, names)
    return Change(first.kind, who, first.action, what, first.before, first.after, first.by)
