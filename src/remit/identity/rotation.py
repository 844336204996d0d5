"""How an authority's keys follow each other: prepared, then signing, then retired, then gone. Pure.

A key is in the bundle before it signs, and after it has signed until the last SVID of it is over: so whoever verifies
by a bundle no older than `Pace.published` sees no failure.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from remit.identity.authority import AUTHORITY_TTL, MAX_X509_TTL, Authority
from remit.identity.authority_keys import JwtAuthority, Retired, X509Authority
from remit.identity.certificate import BACKDATE
from remit.identity.private_key import PrivateKey


class Step(StrEnum):
    """What `turn` did."""

    PREPARED = "prepared"
    ACTIVATED = "activated"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: an authority's life; how long a key is published before it signs; and kept after it has signed.

    A client that asks for its SVID and bundle without waiting for more asks again within an SVID's life: twice that
    is `published`. `kept` is an SVID's longest life, and what clocks may be apart.
    """

    life: float = AUTHORITY_TTL
    published: float = 2 * MAX_X509_TTL
    kept: float = MAX_X509_TTL + BACKDATE


PACE: Final = Pace()


def turn(
    authority: Authority, now: float, pace: Pace = PACE, *, asked: bool = False
) -> tuple[Step, Authority] | None:
    """The one step that is due at `now` (Unix seconds) and what it makes, or None. `asked`: rotate before its time.

    Each step stands on its own: whatever is saved between two of them is an authority that works.
    """
    if any(old.until <= now for old in authority.retired):
        return Step.REMOVED, _removed(authority, now)
    if not _prepared(authority, now):
        return (Step.PREPARED, _prepare(authority, now, pace)) if asked or _old(authority, now) else None
    if now - authority.prepared_at >= pace.published or not _in_force(authority, now):
        return Step.ACTIVATED, _activate(authority, now, pace)
    return None


def signs_from(authority: Authority, pace: Pace = PACE) -> float | None:
    """When the prepared keys will sign (Unix seconds), or None when none are prepared."""
    return authority.prepared_at + pace.published if len(authority.jwt_authorities) > 1 else None


def next_published(authority: Authority) -> float:
    """When the next new keys are in the bundle (Unix seconds), unless a rotation is asked for before."""
    newest = authority.x509_authorities[-1]
    return (newest.starts + newest.expires) / 2


def _prepared(authority: Authority, now: float) -> bool:
    """Whether there are prepared keys. Those of a clock that was set back since don't count: they come too late."""
    return len(authority.jwt_authorities) > 1 and authority.prepared_at <= now + BACKDATE


def _old(authority: Authority, now: float) -> bool:
    signer = authority.x509_authorities[0]
    return now >= (signer.starts + signer.expires) / 2 or not _in_force(authority, now)


def _in_force(authority: Authority, now: float) -> bool:
    signer = authority.x509_authorities[0]
    return signer.starts <= now < signer.expires


def _prepare(authority: Authority, now: float, pace: Pace) -> Authority:
    """Prepared keys that were there before never signed: nobody misses them."""
    return replace(
        authority,
        x509_authorities=(
            authority.x509_authorities[0],
            X509Authority.create(authority.trust_domain, now, pace.life),
        ),
        jwt_authorities=(authority.jwt_authorities[0], JwtAuthority.of(PrivateKey.generate())),
        prepared_at=now,
        sequence=authority.sequence + 1,
    )


def _activate(authority: Authority, now: float, pace: Pace) -> Authority:
    (old_x509, new_x509), (old_jwt, new_jwt) = authority.x509_authorities, authority.jwt_authorities
    return replace(
        authority,
        x509_authorities=(new_x509,),
        jwt_authorities=(new_jwt,),
        retired=(*authority.retired, Retired(old_x509.der, old_jwt.to_jwk(), now + pace.kept)),
        prepared_at=0.0,
        sequence=authority.sequence + 1,
    )


def _removed(authority: Authority, now: float) -> Authority:
    kept = tuple(old for old in authority.retired if old.until > now)
    return replace(authority, retired=kept, sequence=authority.sequence + 1)
