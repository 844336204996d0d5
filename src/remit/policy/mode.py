"""What else an annotation says of a policy: whose approval a permit takes, and whether a forbid is enforced yet."""

import enum
from collections.abc import Mapping
from typing import Final

from remit.errors import PolicyError
from remit.policy.schema import nearest
from remit.policy.source import Chunk


class Approver(enum.IntEnum):
    """Who must agree to what a permit permits, each stricter than the one before."""

    NOBODY = 0
    OWNER = 1  # the owner of what is acted on, who may be who asks: then it is self-confirmed, not approved
    APPROVER = 2  # another person than who asks, with the role of an approver

    @property
    def word(self) -> str:
        return self.name.lower()


_APPROVERS: Final = {one.word: one for one in Approver if one is not Approver.NOBODY}
_MODES: Final = frozenset({"enforce", "observe"})


def approver_of(chunk: Chunk, annotations: Mapping[str, str], effect: str) -> Approver:
    """Whom `@approval` names; raises PolicyError where it means nothing."""
    said = annotations.get("approval")
    if said is None:
        return Approver.NOBODY
    if effect == "forbid":
        raise _at(
            chunk, "approval", "`@approval` means nothing on a `forbid`", "nobody can agree to what is forbidden"
        )
    if said not in _APPROVERS:
        raise _unknown(chunk, "approval", said, frozenset(_APPROVERS))
    return _APPROVERS[said]


def observed(chunk: Chunk, annotations: Mapping[str, str], effect: str) -> bool:
    """Whether `@mode("observe")` keeps it from being enforced; raises PolicyError where it means nothing."""
    said = annotations.get("mode", "enforce")
    if said not in _MODES:
        raise _unknown(chunk, "mode", said, _MODES)
    if said == "observe" and effect == "permit":
        hint = "observe what would be refused without it: take it away, and observe a `forbid` in its place"
        raise _at(chunk, "mode", "a `permit` can't be observed: it would permit nothing", hint)
    return said == "observe"


def _unknown(chunk: Chunk, key: str, said: str, known: frozenset[str]) -> PolicyError:
    near = nearest(said, known)
    choices = ", ".join(f"`{name}`" for name in sorted(known))
    return _at(chunk, key, f"`@{key}` can't be `{said}`", f"did you mean `{near}`?" if near else f"one of {choices}")


def _at(chunk: Chunk, key: str, message: str, hint: str) -> PolicyError:
    at = chunk.find("@" + key)
    return chunk.source.error(message, chunk.effect_offset() if at is None else at, hint=hint)
