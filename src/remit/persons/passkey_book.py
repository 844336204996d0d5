"""The port behind which passkeys are kept."""

from collections.abc import Sequence
from typing import Protocol

from remit.persons.passkeys import Passkey


class Passkeys(Protocol):
    """Everybody's passkeys. Each write is durable when it returns."""

    def passkeys(self) -> Sequence[Passkey]: ...

    def save_passkey(self, passkey: Passkey) -> None: ...

    def drop_passkey(self, passkey_id: bytes) -> None: ...
