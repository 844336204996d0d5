"""Values that TOML or a shell takes and Remit does not."""

import re
from pathlib import Path

import pytest

from remit.cli.durations import seconds
from remit.config import parse
from remit.errors import ConfigError, UsageError


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("key", ["snapshot_seconds", "gateway.idle_seconds"])
def test_a_time_is_a_number(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match="must be a number"):
        parse(f"{key} = {value}".encode(), "config.toml")


def test_an_environment_is_one_of_four() -> None:
    assert parse(b'environment = "staging"', "config.toml").environment == "staging"
    with pytest.raises(ConfigError, match="dev, test, staging, prod") as caught:
        parse(b'environment = "prd"', "config.toml")
    assert "`prod`" in caught.value.hint


def test_what_becomes_of_raw_ports_is_one_of_three() -> None:
    assert parse(b'[guard]\nraw_ports = "closed"', "config.toml").guard.raw_ports == "closed"
    with pytest.raises(ConfigError, match="one of open, local, closed, not `close`") as caught:
        parse(b'[guard]\nraw_ports = "close"', "config.toml")
    assert "`closed`" in caught.value.hint


def test_programs_that_hold_terminals_are_named_by_their_whole_path() -> None:
    assert parse(b'[proof]\nterminals = ["/usr/bin/tmux"]', "config.toml").proof.terminals == ("/usr/bin/tmux",)
    for path in ("tmux", "/usr/bin/../bin/tmux", "/usr/bin/tmux/", ""):
        with pytest.raises(ConfigError, match=r"`proof\.terminals` must hold absolute paths") as caught:
            parse(f'[proof]\nterminals = ["{path}"]'.encode(), "config.toml")
        assert "/usr/bin/tmux" in caught.value.hint


def test_an_outside_ca_is_three_files_or_none() -> None:
    files = 'chain = "/ca/chain.pem"\nkey = "/ca/key.pem"\nroots = "/ca/roots.pem"'
    assert parse(f"[authority]\n{files}".encode(), "config.toml").authority.roots == "/ca/roots.pem"
    with pytest.raises(ConfigError, match="needs `chain`, `key` and `roots`, or none"):
        parse(b'[authority]\nkey = "/ca/key.pem"', "config.toml")
    with pytest.raises(ConfigError, match=r"must be an absolute path, not `ca/chain\.pem`"):
        parse(f"[authority]\n{files.replace('/ca/chain', 'ca/chain')}".encode(), "config.toml")


@pytest.mark.parametrize("text", ["9" * 5000 + "d", "9" * 400 + "s", "0m", "m", "-1s", "1.5h"])
def test_what_is_no_duration_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize("written", ["/run/spire/api.sock", "unix:///run/spire/api.sock", "unix:/run/spire/api.sock"])
def test_spires_socket_is_a_path_or_an_address(written: str) -> None:
    spire = parse(f'[spire]\nsocket = "{written}"'.encode(), "config.toml").spire
    assert spire.path == Path("/run/spire/api.sock")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[spire]\nsocket = "api.sock"', "must be an absolute path, not `api.sock`"),
        ('[spire]\nsocket = "unix:api.sock"', "must be an absolute path"),
        ('[spire]\nsocket = "unix://host/api.sock"', "must be an absolute path"),
        ('[spire]\nsocket = "tcp://127.0.0.1:80"', "must be an absolute path"),
        (f'[spire]\nsocket = "/{"a" * 107}"', "must be an absolute path"),
        ("[spire]\nsocket = 1", "must be a str"),
        (
            '[spire]\nsocket = "/s"\n[authority]\nchain = "/c"\nkey = "/k"\nroots = "/r"',
            "`authority` and `spire` don't go together",
        ),
        (
            '[spire]\nsocket = "/s"\n[oidc]\nissuer = "https://a.example"',
            "`oidc.issuer` and `spire` don't go together",
        ),
    ],
)
def test_a_spire_that_can_t_be_is_an_error(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        parse(text.encode(), "config.toml")
