"""Callers of somebody else's door: whom the enforcement point there says that it verified, and what they present."""

import ssl
from typing import Final
from urllib.parse import unquote

from cryptography.x509 import load_der_x509_certificate

from remit.errors import AttestationError
from remit.gateway.callers import by_svid
from remit.gateway.decisions.ext_authz_request import Checked, spiffe_id
from remit.gateway.presented import by_jwt, is_spiffe_jwt, presented, shown
from remit.gateway.zone import Zone
from remit.identity import Caller, Proof, SpiffeId, verify_x509

KEPT: Final = 1024  # certificates that were found good: each costs 150 µs to verify


class VouchedFor:
    """Who calls, on the word of a registered enforcement point. Remembers the certificates that it verified."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._good: dict[tuple[str, tuple[bytes, ...]], tuple[SpiffeId, float]] = {}

    def caller(self, checked: Checked, now: float) -> Caller:
        """The caller of the request; raises AttestationError (IdentityError) when nobody says who that is.

        1. whom the point verified by a client certificate of this trust domain
        2. where it sends that certificate too, it is verified here: a point that takes any would take a forged one
        3. what stands where an API key would: a task's token or a JWT-SVID for the guarded server
        """
        token, engine, latest = presented(checked.request), self._zone.engine, self._zone.latest()
        if not checked.principal:
            if is_spiffe_jwt(token):
                return by_jwt(token, checked.guarded, engine, latest)[0]
            raise AttestationError(
                "the enforcement point verified no client certificate, and the request brings no JWT-SVID",
                hint="connect with your X.509-SVID, or send a JWT-SVID as the API key",
            )
        # 1
        principal = spiffe_id(checked.principal)
        # 2
        if checked.certificate:
            proven, until = self._proven(checked.certificate, latest)
            if proven != principal or latest >= until:
                raise AttestationError("the client certificate is over, or another's", hint="connect with a new one")
        # 3
        caller = by_svid(principal, Proof.VOUCHED, None, engine)
        return shown(token, caller, checked.guarded, engine, now=now, latest=latest)[0]

    def _proven(self, certificate: str, latest: float) -> tuple[SpiffeId, float]:
        """Whom it is of, and until when; raises IdentityError unless an authority of this trust domain issued it."""
        snapshot = self._zone.snapshot
        known = certificate, snapshot.x509_authorities
        if known not in self._good:
            der = _der(certificate)
            proven = verify_x509([der], snapshot.x509_authorities, latest, trust_domain=snapshot.trust_domain)
            if len(self._good) >= KEPT:
                self._good.clear()
            self._good[known] = proven, load_der_x509_certificate(der).not_valid_after_utc.timestamp()
        return self._good[known]


def _der(certificate: str) -> bytes:
    """Envoy sends it as PEM in URL encoding."""
    try:
        return ssl.PEM_cert_to_DER_cert(unquote(certificate))
    except ValueError:
        raise AttestationError("the enforcement point sent no certificate where one belongs") from None
