"""What listens at one address now, and who holds it: real sockets, the kernel's tables."""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from remit.inventory.listening import BOUND_AGAIN, Exclusion, Holding, sockets_at, survey
from tests.inventory.asking import has_ipv6

MINE = os.getpid()


def listen(stack: ExitStack, address: str, port: int = 0) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = stack.enter_context(socket.create_server((address, port), family=family, dualstack_ipv6=address == "::"))
    found: int = server.getsockname()[1]
    return found


def test_nothing_listens_where_nothing_does() -> None:
    with ExitStack() as stack:
        port = listen(stack, "127.0.0.1")
    assert sockets_at(f"http://127.0.0.1:{port}") == []


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_listener_answers_at_its_own_address_and_one_of_any_address_at_all(address: str) -> None:
    with ExitStack() as stack:
        port = listen(stack, address)
        assert sockets_at(f"http://127.0.0.1:{port}") == [Holding((MINE,), os.geteuid())]
        assert bool(sockets_at(f"http://127.0.0.2:{port}")) is (address == "0.0.0.0")
        assert sockets_at(f"http://[::1]:{port}") == []


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_one_of_any_ipv6_address_can_be_reached_by_ipv4() -> None:
    with ExitStack() as stack:
        port = listen(stack, "::")
        assert len(sockets_at(f"http://127.0.0.1:{port}")) == 1
        assert len(sockets_at(f"http://[::1]:{port}")) == 1


def test_a_unix_socket_is_known_by_its_path_also_when_it_was_bound_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for bound in (str(tmp_path / "a.sock"), "b.sock"):
        upstream = f"unix:{tmp_path / Path(bound).name}"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(bound)
            assert sockets_at(upstream) == []
            server.listen()
            assert sockets_at(upstream) == [Holding((MINE,), None)]
            assert sockets_at(f"unix:/elsewhere/{Path(bound).name}") == []
        assert sockets_at(upstream) == []


def test_of_listeners_on_one_port_the_one_of_that_very_address_answers() -> None:
    with ExitStack() as stack:
        one, other = (stack.enter_context(socket.socket()) for _ in range(2))
        for server in (one, other):
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        other.bind(("0.0.0.0", port))
        one.listen()
        other.listen()
        assert len(sockets_at(f"http://127.0.0.1:{port}")) == 1
        assert len(sockets_at(f"http://127.0.0.2:{port}")) == 1
        one.close()
        assert len(sockets_at(f"http://127.0.0.1:{port}")) == 1


def test_a_path_that_was_bound_again_is_held_by_nobody_that_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as old, socket.socket(socket.AF_UNIX) as new:
        old.bind(str(path))
        old.listen()
        path.unlink()
        new.bind(str(path))
        new.listen()
        assert sockets_at(f"unix:{path}") == []
        (door,) = [one for one in survey(Exclusion()) if one.address == f"unix:{path}"]
        assert (door.pids, door.notes) == ((), (BOUND_AGAIN,))
        old.close()
        assert sockets_at(f"unix:{path}") == [Holding((MINE,), None)]
        (door,) = [one for one in survey(Exclusion()) if one.address == f"unix:{path}"]
        assert (door.pids, door.notes) == ((MINE,), ())
