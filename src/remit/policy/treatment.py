"""What policies say about findings: `@on_LABEL("mask" | "refuse" | "allow")` on a permit."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from remit.detect import Label
from remit.errors import PolicyError
from remit.policy.permit import Treatment
from remit.policy.policy_set import Policy
from remit.policy.schema import nearest
from remit.policy.source import Chunk

PREFIX: Final = "on_"
LABELS: Final = (Label.RESTRICTED, Label.CONFIDENTIAL, Label.INTERNAL)
STRICTNESS: Final = {Treatment.ALLOW: 0, Treatment.MASK: 1, Treatment.REFUSE: 2}

_KEYS: Final = {PREFIX + label.value: label for label in LABELS}
_VALUES: Final = {treatment.value: treatment for treatment in Treatment}


def plan_of(chunk: Chunk, annotations: Mapping[str, str], effect: str) -> Mapping[Label, Treatment]:
    """The treatments that one policy's annotations choose; raises PolicyError at one that means nothing."""
    plan = {}
    for key, value in annotations.items():
        if not key.startswith(PREFIX):
            continue
        if key not in _KEYS:
            raise _unknown(chunk, key, key, frozenset(_KEYS), "annotation `@{}` names no label")
        if value not in _VALUES:
            raise _unknown(chunk, key, value, frozenset(_VALUES), f"`@{key}` can't be `{{}}`")
        if effect == "forbid":
            raise _at(chunk, key, f"`@{key}` means nothing on a `forbid`", "only a `permit` lets anything through")
        plan[_KEYS[key]] = _VALUES[value]
    return MappingProxyType(plan)


def strictest(policies: Sequence[Policy]) -> Mapping[Label, Treatment]:
    """The plan of all permits that decided together: per label the strictest; unsaid is mask."""
    return MappingProxyType(
        {
            label: max((policy.plan.get(label, Treatment.MASK) for policy in policies), key=STRICTNESS.__getitem__)
            for label in LABELS
        }
    )


def _unknown(chunk: Chunk, key: str, said: str, known: frozenset[str], message: str) -> PolicyError:
    near = nearest(said, known)
    choices = ", ".join(f"`{name}`" for name in sorted(known))
    return _at(chunk, key, message.format(said), f"did you mean `{near}`?" if near else f"one of {choices}")


def _at(chunk: Chunk, key: str, message: str, hint: str) -> PolicyError:
    at = chunk.find("@" + key)
    return chunk.source.error(message, chunk.effect_offset() if at is None else at, hint=hint)
