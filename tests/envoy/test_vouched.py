"""Whose word counts for whom: what an enforcement point says of a client, and what the client's certificate says."""

import ssl
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from remit.errors import IdentityError
from remit.gateway.decisions.ext_authz_request import read_check
from remit.gateway.decisions.vouched import VouchedFor
from remit.identity import Authority, SpiffeId
from remit.policy import Engine
from tests.envoy.test_check_request import check
from tests.envoy.world import BOT, STRANGER, snapshot
from tests.policy.worlds import TD, sid

AUTHORITY = Authority.create(TD, time.time() - 60)


class Clock:
    now = time.time()


def vouched() -> VouchedFor:
    engine = Engine(snapshot(AUTHORITY))
    zone: Any = SimpleNamespace(engine=engine, snapshot=engine.snapshot, latest=lambda: Clock.now)
    return VouchedFor(zone)


def said(principal: str, *, by: SpiffeId | None = None, authority: Authority = AUTHORITY) -> Any:
    """What the point says: a principal, and the certificate of whom it is, if it sends one."""
    message = check()
    message.attributes.source.principal = principal
    if by is not None:
        leaf = authority.issue_x509(by, Clock.now, 600).chain[0]
        message.attributes.source.certificate = quote(ssl.DER_cert_to_PEM_cert(leaf))
    return read_check(message)


def test_a_certificate_proves_its_own_name_and_no_other() -> None:
    assert vouched().caller(said(str(BOT), by=BOT), Clock.now).spiffe_id == BOT
    with pytest.raises(IdentityError):
        vouched().caller(said(str(BOT), by=STRANGER), Clock.now)


def test_a_certificate_that_was_good_is_no_more_once_it_is_over() -> None:
    """A connection may outlive the certificate that it began with."""
    here, once = vouched(), said(str(BOT), by=BOT)
    assert here.caller(once, Clock.now).spiffe_id == BOT
    Clock.now += 700
    try:
        with pytest.raises(IdentityError):
            here.caller(once, Clock.now)
        assert here.caller(said(str(BOT)), Clock.now).spiffe_id == BOT, "without one it is the point's word alone"
    finally:
        Clock.now -= 700


@pytest.mark.parametrize(
    "nobody",
    [
        said(""),
        said("CN=bot"),
        said(str(BOT) + "\n"),
        said(str(BOT), by=BOT, authority=Authority.create(TD, time.time() - 60)),
        said(str(sid("agent", "nobody"))),
        said("spiffe://elsewhere.example/agent/bot"),
    ],
)
def test_a_word_that_proves_nobody_here_is_refused(nobody: Any) -> None:
    with pytest.raises(IdentityError):
        vouched().caller(nobody, Clock.now)


def test_what_is_no_certificate_is_refused() -> None:
    message = check()
    message.attributes.source.principal = str(BOT)
    message.attributes.source.certificate = "%2D-no"
    with pytest.raises(IdentityError):
        vouched().caller(read_check(message), Clock.now)
