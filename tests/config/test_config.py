"""The configuration file: what is taken, and how each mistake is named."""

import os
from pathlib import Path

import pytest

from remit.config import MAX_ISSUER, Places, Settings, check_issuer, load, parse
from remit.errors import ConfigError


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "absent.toml") == Settings()


def test_every_key_can_be_set() -> None:
    settings = parse(
        b"""
trust_domain = "maple.example"
environment = "prod"
snapshot_seconds = 60
[gateway]
address = "::1"
port = 8400
body_bytes = 1000
header_seconds = 2
idle_seconds = 3.5
connections = 9
first_byte_seconds = 10
chunk_seconds = 4
[discovery]
look = false
servers = ["http://127.0.0.1:9000"]
ignore = ["http://127.0.0.1:9001"]
[oidc]
issuer = "https://id.example.com/remit"
""",
        "config.toml",
    )
    assert (settings.trust_domain, settings.environment, settings.snapshot_seconds) == ("maple.example", "prod", 60.0)
    assert (settings.gateway.address, settings.gateway.port, settings.gateway.idle_seconds) == ("::1", 8400, 3.5)
    assert not settings.discovery.look
    assert settings.discovery.servers == ("http://127.0.0.1:9000",)
    assert settings.oidc.issuer == "https://id.example.com/remit"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (b"trust_domian = 'x'", "unknown key `trust_domian`", "did you mean `trust_domain`?"),
        (b"[gateway]\nprot = 1", "unknown key `gateway.prot`", "did you mean `gateway.port`?"),
        (b"[gateway]\nport = 'x'", "`gateway.port` must be a int", ""),
        (b"[gateway]\nport = true", "`gateway.port` must be a int", ""),
        (b"[gateway]\nport = 80", "from 1024 to 65000", ""),
        (b"[gateway]\naddress = '0.0.0.0'", "must be `127.0.0.1` or `::1`", "attested by this machine's kernel"),
        (b"[gateway]\nidle_seconds = 0", "`gateway.idle_seconds` must be above 0", ""),
        (b"gateway = 3", "`gateway` must be a table", ""),
        (b"[discovery]\nservers = 'x'", "must be a list of strings", ""),
        (b"[oidc]\nissuer = 'http://id.example.com'", "`oidc.issuer` must be an https address", "such as `https://"),
        (b"[oidc]\nport = 80", "`oidc.port` must be from 1024", ""),
        (b"[people]\nada = 1000", "`people.ada` must be a list of uids", ""),
        (b"[people]\nada = [true]", "`people.ada` must be a list of uids", ""),
        (b"[people]\nada = [1000]\nbob = [1001, 1000]", "uid 1000 is both `people.ada`'s and `people.bob`'s", ""),
        (b"[oidc]\nissuer = 3", "`oidc.issuer` must be a str", ""),
        (b"snapshot_seconds = 9000", "from 1 to 3600", ""),
        (b"trust_domain = ", "is not TOML", ""),
        (b"\xff", "is not UTF-8 at byte 0", ""),
    ],
)
def test_a_mistake_is_named(text: bytes, said: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "config.toml")
    assert said in str(caught.value)
    assert "`config.toml`" in str(caught.value)
    assert hint in caught.value.hint


def test_a_huge_file_and_an_unreadable_one(tmp_path: Path) -> None:
    (tmp_path / "huge.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(tmp_path / "huge.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)


def test_places_follow_xdg() -> None:
    environ = {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/1000"}
    where = Places.of(None, environ)
    assert where.state == Path("/home/ada/.local/state/remit")
    assert where.config == Path("/home/ada/.config/remit/config.toml")
    assert where.run == Path("/run/user/1000/remit")
    where = Places.of(None, {"HOME": "/home/ada", "XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"})
    assert (where.state, where.policies, where.run) == (
        Path("/s/remit"),
        Path("/c/remit/policies"),
        Path("/s/remit/run"),
    )


def test_a_long_state_path_still_has_short_socket_paths(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    where = Places.of(deep, {})
    assert where.state == deep
    assert len(os.fsencode(where.workload_api_socket)) <= 107
    assert where.run == Places.of(deep, {}).run


@pytest.mark.parametrize(
    "issuer",
    ["https://id.example.com", "https://id.example.com/remit", "https://a:8443/b/c.d_e~f-G", "https://10.0.0.1"],
)
def test_an_issuer_that_can_be_fetched_and_compared_is_taken(issuer: str) -> None:
    check_issuer(issuer, "it")


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "id.example.com",
        "http://id.example.com",
        "HTTPS://id.example.com",
        "https://ID.example.com",
        "https://",
        "https://id.example.com/",
        "https://id.example.com/remit/",
        "https://id.example.com//remit",
        "https://id.example.com/../remit",
        "https://id.example.com/./remit",
        "https://id.example.com?a=b",
        "https://id.example.com/?",
        "https://id.example.com#a",
        "https://ada:secret@id.example.com",
        "https://id.example.com:0/",
        "https://id.example.com:https",
        "https://id.example.com/a%2fb",
        "https://id.example.com/a b",
        "https://id.example.com\n",
        "https://id.example.com\\remit",
        "https://id.example.com/" + "a" * MAX_ISSUER,
    ],
)
def test_an_issuer_that_could_be_written_in_two_ways_is_refused(issuer: str) -> None:
    with pytest.raises(ConfigError, match="it must be an https address") as caught:
        check_issuer(issuer, "it")
    assert "https://id.example.com/remit" in caught.value.hint
