"""The ways to a server around Remit: which addresses it answers at, and which of its sockets are for itself."""

import dataclasses
import ipaddress
import os
import socket
import subprocess
import sys

import pytest

from remit.control.inner_sockets import InnerSockets
from remit.control.ways import Around, around
from remit.identity.attestation import Listener, listeners
from remit.sandbox.fence_line import NOBODY, Way
from tests.control.test_condition import OWN, SERVER

PORT = 11434
# A server that starts another process of its own, which listens too, and tells its port.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
CHILD = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); "
    "sys.stdin.read()"
)


def listener(address: str, port: int = PORT, uid: int = OWN, inode: int = 1) -> Listener:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return Listener(family, address, port, inode, uid)


def way(address: str, port: int = PORT, *, everywhere: bool = False, besides: int = NOBODY) -> Way:
    return Way.to(ipaddress.ip_address(address), port, everywhere=everywhere, besides=besides)


@pytest.mark.parametrize(
    ("there", "ways"),
    [
        (["127.0.0.1"], ["127.0.0.1"]),
        (["0.0.0.0"], ["0.0.0.0"]),
        (["::"], ["::", "0.0.0.0"]),
        (["::", "0.0.0.0"], ["::", "0.0.0.0"]),
        (["::ffff:127.0.0.1"], ["127.0.0.1"]),
        (["127.0.0.1", "::1"], ["127.0.0.1", "::1"]),
        (["192.0.2.1", "127.0.0.1"], ["192.0.2.1", "127.0.0.1"]),
        ([], ["127.0.0.1"]),
    ],
)
def test_each_address_that_it_answers_at(there: list[str], ways: list[str]) -> None:
    found = around(SERVER, [listener(one) for one in there], everywhere=False)
    assert found == Around(frozenset(way(one) for one in ways))


def test_another_persons_socket_on_that_port_is_not_its() -> None:
    """Of one at `::` that takes IPv6 alone, the other is not closed along with it."""
    there = [listener("::"), listener("127.0.0.1", uid=OWN + 1)]
    assert around(SERVER, there, everywhere=False).own == {way("::")}


def test_a_unix_socket_is_no_way_to_close() -> None:
    served = dataclasses.replace(SERVER, upstream="unix:/run/s")
    assert around(served, [listener("127.0.0.1")], everywhere=False).every == frozenset()


def test_everywhere_is_asked_of_each() -> None:
    assert around(SERVER, [listener("0.0.0.0")], everywhere=True).own == {way("0.0.0.0", everywhere=True)}


def test_low_ports_may_not_be_refused() -> None:
    low = dataclasses.replace(SERVER, upstream="http://127.0.0.1:80")
    assert not around(low, [listener("127.0.0.1", 80)], everywhere=False).may_be_refused
    assert around(SERVER, [listener("127.0.0.1")], everywhere=False).may_be_refused


def test_what_its_own_processes_listen_at_is_found_and_left_to_its_uid() -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    with (
        socket.create_server(("127.0.0.1", 0)) as stranger,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
    ):
        assert server.stdout is not None
        inner = int(server.stdout.readline())
        workload = dataclasses.replace(SERVER, pid=server.pid, uid=os.getuid())
        sockets = InnerSockets()
        there = listeners()
        sockets.look(there, [workload])
        found = around(workload, there, everywhere=False, below=lambda one: sockets.below(workload, one))
        server.communicate()
        assert stranger.getsockname()[1] not in {one.port for one in found.every}, "of the same uid, but not below it"
    assert found.inner == {way("127.0.0.1", inner, besides=os.getuid())}
