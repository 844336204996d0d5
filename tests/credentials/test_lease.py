"""Leases: a credential for one call, gone when the call ends, however it ends."""

import pickle

import pytest

from remit.credentials import Broker
from remit.errors import SpentError, StateError
from remit.redaction import Clean  # its only maker is redaction/clean.py; a test stands in for it here
from remit.secret import Secret

KEY = "remit_key_" + "0123456789abcdef" * 4


def a_clean_request() -> Clean:
    return Clean(b"{}", {}, b"digest")


def test_a_lease_carries_the_key_until_it_is_given_back() -> None:
    broker = Broker({"demo": Secret(KEY)})
    with broker.lease("demo", a_clean_request()) as lease:
        assert lease.headers() == (("authorization", f"Bearer {KEY}"),)
    with pytest.raises(SpentError, match="given back"):
        lease.headers()


def test_a_lease_goes_back_when_the_call_breaks() -> None:
    broker = Broker({"demo": Secret(KEY)})
    with pytest.raises(ZeroDivisionError), broker.lease("demo", a_clean_request()) as lease:
        raise ZeroDivisionError
    with pytest.raises(SpentError):
        lease.headers()


def test_a_server_without_a_key_gets_none() -> None:
    with Broker().lease(None, a_clean_request()) as lease:
        assert lease.headers() == ()


def test_a_credential_of_another_zone_is_not_lent() -> None:
    with (
        pytest.raises(StateError, match="does not hold the credential `demo`"),
        Broker().lease("demo", a_clean_request()),
    ):
        pass


def test_a_replaced_credential_is_dead_for_new_leases() -> None:
    broker = Broker({"demo": Secret(KEY)})
    broker.replace({})
    with pytest.raises(StateError), broker.lease("demo", a_clean_request()):
        pass
    assert broker.values() == ()


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(KEY)
    assert KEY not in repr(secret)
    assert KEY not in f"{secret}"
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(secret)
