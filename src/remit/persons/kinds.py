"""How a person was known when they acted, weakest first; pure."""

import enum
from typing import Final

from remit.errors import UsageError


class Kind(enum.StrEnum):
    """What stood for a person. Recorded with each act; docs/person-proof.md says what each does not prove."""

    UID = "uid"  # a process of their account: no person at all
    TERMINAL = "terminal"  # it was in the foreground of a terminal: weak
    PASSWORD = "password"  # noqa: S105 - the kind's name; typed to a process of Remit's own uid, checked by PAM
    PASSKEY = "passkey"  # a key that the browser lets nobody use for another site

    def reaches(self, needed: "Kind") -> bool:
        """Whether this is as good as `needed`, or better."""
        return _ORDER.index(self) >= _ORDER.index(needed)

    @classmethod
    def at_least(cls, needed: "Kind") -> "tuple[Kind, ...]":
        """Those that reach `needed`, weakest first."""
        return tuple(kind for kind in _ORDER if kind.reaches(needed))

    @classmethod
    def named(cls, name: str) -> "Kind":
        """The kind that goes by `name`; raises UsageError."""
        if name not in {kind.value for kind in cls}:
            raise UsageError(f"`{name}` is no kind of proof", hint="they are " + ", ".join(_ORDER))
        return cls(name)


_ORDER: Final = (Kind.UID, Kind.TERMINAL, Kind.PASSWORD, Kind.PASSKEY)
