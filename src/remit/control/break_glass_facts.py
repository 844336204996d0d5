"""What `remit doctor` says of break-glass: that it can be opened when needed, and that somebody looked afterwards."""

from collections.abc import Mapping
from typing import Any, Final

from remit.posture import Fact

SEALED: Final = "a recovery code is sealed"
REVIEWED: Final = "break-glass is reviewed"
_SEALS: Final = "seal one, and write it down away from this machine: remit break-glass seal"


def break_glass_facts(standing: Mapping[str, Any]) -> list[Fact]:
    """Of what `status` says of break-glass; no grade rests on it."""
    sealed: bool | None = standing["sealed"]
    evidence = {True: "its hash is kept", False: "there is none", None: "it can't be read"}[sealed]
    return [Fact(SEALED, sealed, evidence, _SEALS), _reviewed(standing)]


def _reviewed(standing: Mapping[str, Any]) -> Fact:
    due, flaws = standing["due"], standing["flaws"]
    if flaws:
        return Fact(REVIEWED, None, f"the record is not whole: {flaws[0]}", "remit break-glass list")
    if due:
        first = due[0]
        evidence = f"{len(due)} due; {first['id']} of {first['person']}: {first['standing']}"
        return Fact(REVIEWED, False, evidence, f"another person looks at it: remit break-glass review {first['id']}")
    return Fact(REVIEWED, True, "nothing is due")
