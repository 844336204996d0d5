"""A lease: a credential for one permit, gone when the call ends. Only this file makes one."""

from collections.abc import Mapping
from typing import Final, Self

from remit.errors import SpentError, StateError
from remit.redaction import Clean
from remit.secret import Secret

NO_CREDENTIAL: Final = ""


class Lease:
    """One credential, for the cleaned request whose digest is `of`. `headers` may be read until it is given back."""

    __slots__ = ("_returned", "_secret", "credential", "of")

    def __init__(self, credential: str, secret: Secret | None, of: bytes) -> None:
        self.credential, self.of = credential, of
        self._secret = secret
        self._returned = False

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header that carries the credential upstream; none for a server that takes no key."""
        if self._returned:
            raise SpentError(f"the lease of `{self.credential}` was given back before")
        if self._secret is None:
            return ()
        return (("authorization", f"Bearer {self._secret.reveal()}"),)

    def give_back(self) -> None:
        self._returned = True
        self._secret = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()


class Broker:
    """Lends the secrets that this zone holds. `held` maps a credential's name to its value."""

    def __init__(self, held: Mapping[str, Secret] | None = None) -> None:
        self._held = dict(held or {})

    def replace(self, held: Mapping[str, Secret]) -> None:
        """Take a new set of secrets; leases already out keep theirs until they are given back."""
        self._held = dict(held)

    def values(self) -> tuple[bytes, ...]:
        """Every secret held here, for exact removal from what leaves."""
        return tuple(secret.reveal().encode() for secret in self._held.values())

    def lease(self, credential: str | None, clean: Clean) -> Lease:
        """A lease for one cleaned request, as a context manager: given back when its block ends, however it ends.

        Raises StateError when the server needs a credential that this zone doesn't hold.
        """
        secret = None
        if credential is not None:
            secret = self._held.get(credential)
            if secret is None:
                raise StateError(f"this zone does not hold the credential `{credential}`", hint="restart `remit up`")
        return Lease(credential or NO_CREDENTIAL, secret, clean.of)
