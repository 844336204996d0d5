"""A clock that is set back revives nothing, and refuses nothing for ever."""

import pytest

from remit.errors import IdentityError
from remit.identity import Authority, SpiffeId, verify_jwt
from remit.identity.latest import FAR_AHEAD, Latest
from tests.fakes.identities import FakeClock
from tests.identity.forge import NOW

AGENT = SpiffeId.parse("spiffe://example.org/agent/reader")


def test_it_stands_still_while_the_clock_is_behind_and_goes_on_with_it() -> None:
    clock = FakeClock(NOW)
    latest = Latest(clock)
    seen = []
    for step in (10, -600, 300, 300, 5, -5, 1):
        clock.now += step
        seen.append(latest() - NOW)
    assert seen == [10, 10, 10, 10, 15, 15, 15]


def test_a_clock_that_was_years_ahead_is_not_believed() -> None:
    clock = FakeClock(NOW + 3650 * 86400)
    latest = Latest(clock)
    clock.now = NOW
    assert latest() == NOW
    clock.now = NOW - FAR_AHEAD - 1
    assert latest() == clock.now


def test_a_token_that_was_over_stays_so_when_the_clock_is_set_back_by_ten_minutes_and_fresh_ones_come_again() -> None:
    authority, clock = Authority.create("example.org", NOW), FakeClock(NOW)
    latest = Latest(clock)

    def verified(token: str) -> SpiffeId:
        return verify_jwt(token, authority.bundle().jwks(), "a", latest()).spiffe_id

    old = authority.issue_jwt(AGENT, ("a",), clock()).token.reveal()
    clock.now += 310
    for back in (0, 600):
        clock.now -= back
        with pytest.raises(IdentityError, match="has expired"):
            verified(old)
    refused = 0
    for _ in range(11):
        clock.now += 60
        fresh = authority.issue_jwt(AGENT, ("a",), clock()).token.reveal()
        try:
            assert verified(fresh) == AGENT
        except IdentityError:
            refused += 1
    assert 0 < refused < 6, "only while the clock is further behind than a token lives"
