"""The trust domain's authority as it is in force: each step of a rotation is recorded, then kept, then in force."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from remit.config import AuthoritySettings
from remit.control.book import Acts
from remit.control.realm import Trust
from remit.errors import StateError
from remit.identity import Authority, SpiffeId
from remit.identity.authority_keys import X509Authority
from remit.identity.oidc import jwks
from remit.identity.outside_ca import read_outside
from remit.identity.rotation import PACE, Pace, Step, next_published, signs_from, turn

LOOK_SECONDS: Final = 60.0  # far below every time in PACE
RETRY_SECONDS: Final = 600.0  # after a step that could not be kept: half a life is left to mend the disk

Changed = Callable[[Authority, bool], Awaitable[None]]


class KeptAuthority:
    """Owns the key file. Whoever sets `changed` is told of each new authority, and whether another key signs now.

    With an outside CA its signing certificate takes the place of our own, which is kept and rotated all the same:
    the token keys follow its pace.
    """

    def __init__(
        self,
        path: Path,
        trust_domain: str,
        settings: AuthoritySettings,
        acts: Acts,
        clock: Callable[[], float],
        pace: Pace = PACE,
    ) -> None:
        self._path, self._settings, self._acts, self._clock, self._pace = path, settings, acts, clock, pace
        self.changed: Changed = _nobody
        self._own = Authority.open(path, trust_domain, clock(), pace.life)
        self._outside: tuple[X509Authority, ...] = ()
        self._former: tuple[tuple[X509Authority, float], ...] = ()
        self._one_step = asyncio.Lock()
        self._noted: set[str] = set()
        self._renew_outside()

    @property
    def authority(self) -> Authority:
        """The authority in force."""
        if not self._outside:
            return self._own
        retired = tuple(replace(old, certificate=b"") for old in self._own.retired)  # it was not in the bundle
        return replace(self._own, x509_authorities=self._outside, retired=retired)

    def trust(self) -> Trust:
        """What the gateways verify by."""
        authority = self.authority
        return Trust(authority.trust_domain, authority.signing_certificates(), authority.bundle().jwks())

    def bundle(self) -> dict[str, Any]:
        """The trust domain's bundle in SPIFFE's format."""
        return self.authority.bundle().to_dict()

    def published(self) -> dict[str, Any]:
        """The token keys for who knows no SPIFFE, and how long they are all there are: Unix seconds.

        A rotation that is asked for cuts that short: `overlap_seconds` after it keys sign that are not among these.
        """
        new = next_published(self._own)
        times = {"next_keys": new, "good_until": new + self._pace.published, "overlap_seconds": self._pace.published}
        return {"jwks": jwks(self.authority.bundle()), **times}

    def standing(self) -> dict[str, Any]:
        """How far the rotation of the keys is. Times are Unix seconds, null for what is not to come."""
        return {
            "sequence": self.authority.sequence,
            "signs_until": self.authority.x509_authorities[0].expires,
            "next_published_from": next_published(self._own),
            "next_sign_from": signs_from(self._own, self._pace),
            "former_kept_until": max((old.until for old in self._own.retired), default=None),
        }

    async def rotate(self) -> dict[str, Any]:
        """Begin a rotation before its time, unless one is under way; whether it did, and when its keys will sign."""
        before = self._own.sequence
        await self.catch_up(asked=True)
        signs = signs_from(self._own, self._pace)
        return {"begun": self._own.sequence != before, "sequence": self._own.sequence, "signs_from": signs}

    async def catch_up(self, *, asked: bool = False) -> None:
        """Take every step that is due, and with `asked` the first one of a rotation before its time.

        Raises AuditError or StateError: what could not be recorded or kept is not in force.
        """
        async with self._one_step:
            while (done := turn(self._own, self._clock(), self._pace, asked=asked)) is not None:
                (step, authority), asked = done, False
                await self._acts(f"authority.{step}", self._name, None, _facts(authority))
                authority.save(self._path)
                self._own = authority
                await self.changed(self.authority, step is Step.ACTIVATED)

    async def mind(self, note: Callable[[str], None]) -> None:
        """Look again and again whether a step is due or the outside CA's files have changed."""
        while True:
            kept = await self._tried(self.catch_up(), note)
            await self._tried(self._look_outside(), note)
            await asyncio.sleep(LOOK_SECONDS if kept else RETRY_SECONDS)

    async def _tried(self, work: Awaitable[None], note: Callable[[str], None]) -> bool:
        """Do it, or note once why it can't be done: the authority in force goes on meanwhile."""
        try:
            await work
        except StateError as error:
            text = f"the authority: {error}" + (f" ({error.hint})" if error.hint else "")
            if text not in self._noted:
                note(text)
            self._noted.add(text)
            return False
        return True

    async def _look_outside(self) -> None:
        async with self._one_step:
            if self._renew_outside():
                self._noted.clear()
                await self._acts("authority.outside", self._name, None, _facts(self.authority))
                await self.changed(self.authority, True)

    def _renew_outside(self) -> bool:
        """Take the outside CA's signing certificate as its files have it now; whether that changed anything.

        The one before stays known until what it signed is over. Raises StateError.
        """
        before, files, now = self._outside, self._settings, self._clock()
        if files.chain:
            place = (Path(files.chain), Path(files.key), Path(files.roots))
            found = read_outside(*place, self._own.trust_domain, now)
            if before and _public(before[:1]) != _public((found,)):
                self._former = (*self._former, (before[0], now + self._pace.kept))
            self._former = tuple((old, until) for old, until in self._former if until > now)
            self._outside = (found, *(old for old, _ in self._former))
        self._count_anchors()
        return _public(before) != _public(self._outside)

    def _count_anchors(self) -> None:
        """A bundle with other roots has another sequence, also when they changed while Remit did not run."""
        roots = b"".join(dict.fromkeys(root for authority in self._outside for root in authority.roots))
        digest = hashlib.sha256(roots).hexdigest() if roots else ""
        if digest != self._own.outside:
            self._own = replace(self._own, outside=digest, sequence=self._own.sequence + 1)
            self._own.save(self._path)

    @property
    def _name(self) -> str:
        return str(SpiffeId.of(self._own.trust_domain))


def _public(outside: tuple[X509Authority, ...]) -> list[tuple[tuple[bytes, ...], tuple[bytes, ...]]]:
    return [(one.path, one.roots) for one in outside]


async def _nobody(_authority: Authority, _signs: bool) -> None:
    """Before anybody is to be told."""


def _facts(authority: Authority) -> dict[str, Any]:
    """The keys in the bundle, by what anybody can compare: the digests of certificates, the ids of token keys."""
    bundle = authority.bundle()
    return {
        "sequence": authority.sequence,
        "signs": hashlib.sha256(authority.x509_authorities[0].der).hexdigest(),
        "x509": [hashlib.sha256(der).hexdigest() for der in bundle.x509_authorities],
        "jwt": [key["kid"] for key in bundle.jwt_keys],
    }
