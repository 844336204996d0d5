"""Where this instance's identities come from: its own authority, or an outside SPIRE."""

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from remit.control.realm import Trust
from remit.errors import RemitError
from remit.identity import Authority, Identities, Issuances
from remit.policy.link import Svid


class NotOursError(RemitError):
    """It is for an outside SPIRE to do: Remit has no authority here."""

    exit_code = 3


Changed = Callable[[bool], Awaitable[None]]
"""Puts what changed in force. True: the gateway needs another SVID as well, not only others' keys."""


class IdentitySource(Protocol):
    """One trust domain's keys as they are in force; `catch_up` first. Who sets `changed` is told of each change."""

    changed: Changed

    @property
    def trust_domain(self) -> str: ...

    def authority(self) -> Authority:
        """What signs here; raises NotOursError where Remit issues nothing itself."""

    async def catch_up(self) -> None:
        """Take what is due at the start; raises StateError or AuditError."""

    def trust(self) -> Trust:
        """What the gateways verify by."""

    def gateway_svid(self, zone: str) -> Svid:
        """The SVID that the gateway of `zone` is to have now."""

    def bundle(self) -> dict[str, Any]:
        """The trust domain's bundle in SPIFFE's format."""

    def published(self) -> dict[str, Any]:
        """The token keys for relying parties that know no SPIFFE; raises NotOursError as `authority` does."""

    async def rotate(self) -> dict[str, Any]:
        """Begin a rotation before its time; raises NotOursError as `authority` does."""

    def described(self) -> dict[str, Any]:
        """What `remit status` says of it: `source`, `issues`, `text`, and more."""

    async def serve(
        self,
        stack: contextlib.AsyncExitStack,
        path: Path,
        identities: Identities,
        issuances: Issuances,
        mode: int = 0o600,
    ) -> None:
        """Serve the Workload API at `path`, a file of `mode`, until `stack` ends, where it is Remit's to serve."""

    async def mind(self, note: Callable[[str], None]) -> None:
        """Look after it for as long as this instance runs."""


async def nobody(_svid: bool) -> None:
    """Before anybody is to be told."""
