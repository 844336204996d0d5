"""`[login]`: both of what it needs, or none; a provider that secrets may be sent to."""

import pytest

from remit.config import LoginSettings, parse
from remit.errors import ConfigError

GOOD = {"issuer": "https://login.maple.example", "client_id": "remit-laptop"}


def login(**changes: str) -> LoginSettings:
    rows = [f'{name} = "{value}"' for name, value in {**GOOD, **changes}.items()]
    return parse("\n".join(["[login]", *rows]).encode(), "config.toml").login


def test_a_provider_and_a_client_are_taken() -> None:
    assert login() == LoginSettings(**GOOD)
    assert login(client_secret_file="/etc/remit/secret").client_secret_file == "/etc/remit/secret"
    assert not parse(b"", "config.toml").login.issuer


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8080", "http://localhost:8080/realm", "http://[::1]/"])
def test_a_provider_on_this_machine_needs_no_tls(issuer: str) -> None:
    assert login(issuer=issuer).issuer == issuer


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": ""}, "needs `issuer` and `client_id`"),
        ({"client_id": ""}, "needs `issuer` and `client_id`"),
        ({"issuer": "", "client_id": "", "client_secret_file": "/s"}, "needs `issuer` and `client_id`"),
        ({"issuer": "http://login.maple.example"}, "must be an `https` URL"),
        ({"issuer": "http://127.0.0.1.maple.example"}, "must be an `https` URL"),
        ({"client_secret_file": "secret"}, "must be an absolute path"),
    ],
)
def test_half_of_it_is_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        login(**changes)
