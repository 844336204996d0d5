"""A secret value: its repr hides it, and only `reveal` opens it."""

from typing import final


@final
class Secret:
    """A credential's bytes. Python can't wipe memory: keep it short-lived, in a process that can't be dumped."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is never serialised; reveal it where it is used")
