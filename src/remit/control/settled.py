"""Whether a state directory goes with where identities come from now: its people and workloads are of one domain."""

from collections.abc import Iterable
from typing import Final, Protocol

from remit.errors import StateError
from remit.inventory import Workload

_KEY: Final = "spire_trust_domain"
_ANOTHER: Final = "start with another directory: --state DIR"


class Kept(Protocol):
    """What of the state is asked here."""

    def workloads(self) -> Iterable[Workload]: ...
    def meta(self, key: str) -> str | None: ...
    def save_meta(self, key: str, value: str) -> None: ...


def settle_with_spire(trust_domain: str, kept: Kept) -> str:
    """The state is SPIRE's from now on; raises StateError when it has workloads of another trust domain."""
    others = {workload.spiffe_id.trust_domain for workload in kept.workloads()} - {trust_domain}
    if others:
        raise StateError(
            f"SPIRE is of trust domain `{trust_domain}`, and the workloads that are kept here of `{min(others)}`",
            hint=_ANOTHER,
        )
    kept.save_meta(_KEY, trust_domain)
    return trust_domain


def refuse_without_spire(kept: Kept) -> None:
    """Raise StateError when SPIRE gave this state's identities: a second authority would speak in its name."""
    was = kept.meta(_KEY)
    if was is not None:
        raise StateError(
            f"the identities of this Remit came from SPIRE (trust domain `{was}`), and `spire.socket` is not set now",
            hint=f"set it again, or {_ANOTHER}",
        )
