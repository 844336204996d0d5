"""The listening sockets: loopback only, a taken port passed over, a unix socket for its owner."""

import contextlib
import socket
from pathlib import Path

import pytest

from remit.control.doors import TRIES, close_doors, open_doors
from remit.errors import StateError
from remit.identity import SpiffeId
from remit.inventory import Kind, Workload


def a_server() -> Workload:
    return Workload(
        spiffe_id=SpiffeId.parse("spiffe://maple.local/inference/llama"),
        name="llama",
        kind=Kind.MODEL_SERVER,
        owner="ada",
        server="llama.cpp",
        upstream="http://127.0.0.1:1",
        reach="loopback",
        capabilities=(),
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_three_doors(tmp_path: Path, address: str) -> None:
    doors, urls = open_doors(a_server(), address, 23450, tmp_path)
    try:
        assert [door.kind for door in doors] == ["tcp", "tls", "unix"]
        assert urls["base_url"] == urls["url"] + "/v1"
        assert doors[0].sock.getsockname()[0] == address
        assert (tmp_path / "llama.sock").stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(urls["unix"])
    finally:
        close_doors(doors)
    assert not (tmp_path / "llama.sock").exists()


def test_a_taken_port_is_passed_over(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 23460)):
        doors, urls = open_doors(a_server(), "127.0.0.1", 23460, tmp_path)
        close_doors(doors)
    assert urls["url"] == "http://127.0.0.1:23461"


@pytest.mark.parametrize("offset", [0, 100], ids=["plain", "mutual-tls"])
def test_nobody_else_answers_where_localhost_leads_too(tmp_path: Path, offset: int) -> None:
    doors, _ = open_doors(a_server(), "127.0.0.1", 23490, tmp_path)
    try:
        with socket.socket(socket.AF_INET6) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("::1", 23490 + offset))
        with socket.create_connection(("localhost", 23490 + offset), 5) as caller:
            assert caller.getpeername()[0] == "127.0.0.1"
    finally:
        close_doors(doors)
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 23490 + offset))


def test_a_port_that_somebody_has_half_of_is_passed_over(tmp_path: Path) -> None:
    with socket.create_server(("::1", 23480), family=socket.AF_INET6):
        doors, urls = open_doors(a_server(), "127.0.0.1", 23480, tmp_path)
        close_doors(doors)
    assert urls["url"] == "http://127.0.0.1:23481"


def test_whoever_holds_all_ports_that_it_would_take_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        for port in range(24000, 24000 + TRIES):
            held.enter_context(socket.create_server(("127.0.0.1", port)))
        doors, urls = open_doors(a_server(), "127.0.0.1", 24000, tmp_path)
        close_doors(doors)
    assert int(urls["url"].rpartition(":")[2]) not in range(24000, 24000 + TRIES)


def test_a_door_is_not_taken_from_who_answers_there_and_none_stays_open(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "llama.sock"))
        other.listen()
        with pytest.raises(StateError, match="another server answers there"):
            open_doors(a_server(), "127.0.0.1", 23470, tmp_path)
        assert (tmp_path / "llama.sock").exists()
    for port in (23470, 23570):
        socket.create_server(("127.0.0.1", port)).close()  # free again


def test_a_door_that_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "llama.sock"))
    doors, urls = open_doors(a_server(), "127.0.0.1", 23480, tmp_path)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(urls["unix"])
    close_doors(doors)
