"""The fence: who gets through to a fenced address, by which tricks, and what is left when it is meddled with."""

import asyncio
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import remit
from remit.control.fence import Fence, start_fence
from remit.errors import StateError
from remit.sandbox import capabilities, fence, fence_table
from remit.sandbox.fence import FILTER
from remit.sandbox.fence_line import MAX_WAYS, QUESTION, STAND, Way, packed, ways_in
from remit.sandbox.seccomp import AUDIT_ARCH, RET_ALLOW
from remit.sandbox.syscalls import NUMBERS, number
from tests.sandbox.bpf import run
from tests.sandbox.network import HERE, HERE6, Network, Server, can_make_networks, network

pytestmark = pytest.mark.skipif(not can_make_networks(), reason="networks are made by root, and looked at with nft")

REMIT, SERVERS, ADA, ROOT = 4242, 4243, 4244, 0
MPTCP = 262  # linux/in.h: IPPROTO_MPTCP
FAST_OPEN = 0x20000000  # MSG_FASTOPEN
_CODE = "import sys; sys.path.insert(0, {!r}); from remit.sandbox.fence import main; sys.exit(main())"
PROGRAM = (sys.executable, "-I", "-c", _CODE.format(str(Path(remit.__file__).parents[1])))


def way(address: str, port: int, *, everywhere: bool = False, besides: int | None = None) -> Way:
    let_in = {} if besides is None else {"besides": besides}
    return Way.to(ipaddress.ip_address(address), port, everywhere=everywhere, **let_in)


@pytest.fixture(scope="module")
def here() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture
def talk(here: Network) -> Iterator[socket.socket]:
    """A socket to nf_tables there; nothing of the table is left after."""
    with here.inside(fence.to_kernel) as opened:
        yield opened
        fence.replace(opened, (), REMIT)


@contextmanager
def serving(here: Network, address: str, port: int = 0, *, only_ipv6: bool = False) -> Iterator[Server]:
    server = Server(here, address, port, uid=SERVERS, only_ipv6=only_ipv6)
    try:
        yield server
    finally:
        server.close()


def refused(here: Network, to: str, port: int, uid: int, *, far: bool = False) -> bool:
    try:
        answer = here.call(to, port, uid, far=far)
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    assert answer == b"!"
    return False


def test_only_remit_gets_through(here: Network, talk: socket.socket) -> None:
    with serving(here, "127.0.0.1") as server, serving(here, "127.0.0.1") as other:
        fence.replace(talk, [way("127.0.0.1", server.port)], REMIT)
        assert not refused(here, "127.0.0.1", server.port, REMIT)
        for uid in (ADA, ROOT, SERVERS):
            assert refused(here, "127.0.0.1", server.port, uid), uid
        assert server.heard == [b"?"]
        assert not refused(here, "127.0.0.1", other.port, ADA), "another port is nobody's business"


def test_a_neighbour_on_the_same_port_is_left_alone(here: Network, talk: socket.socket) -> None:
    """Or whoever serves a model on 127.0.0.2:5432 would keep everybody from the database on 127.0.0.1:5432."""
    with serving(here, "127.0.0.2") as server, serving(here, "127.0.0.1", server.port) as neighbour:
        fence.replace(talk, [way("127.0.0.2", server.port)], REMIT)
        assert refused(here, "127.0.0.2", server.port, ADA)
        assert not refused(here, "127.0.0.1", neighbour.port, ADA)


@pytest.mark.parametrize("to", ["127.0.0.1", "127.0.0.77", HERE])
def test_a_server_at_every_address_is_refused_at_each(here: Network, talk: socket.socket, to: str) -> None:
    with serving(here, "0.0.0.0") as server:
        assert not refused(here, to, server.port, ADA)
        fence.replace(talk, [way("0.0.0.0", server.port)], REMIT)
        assert refused(here, to, server.port, ADA)
        assert not refused(here, to, server.port, REMIT)


@pytest.mark.parametrize("to", ["::1", HERE6])
def test_ipv6_is_refused_as_well(here: Network, talk: socket.socket, to: str) -> None:
    with serving(here, "::", only_ipv6=True) as server, serving(here, "127.0.0.1", server.port):
        fence.replace(talk, [way("::", server.port)], REMIT)
        assert refused(here, to, server.port, ADA)
        assert not refused(here, to, server.port, REMIT)
        assert not refused(here, "127.0.0.1", server.port, ADA), "that is another's, of the other family"


def test_one_address_of_ipv6(here: Network, talk: socket.socket) -> None:
    with serving(here, "::", only_ipv6=True) as server:
        fence.replace(talk, [way("::1", server.port)], REMIT)
        assert refused(here, "::1", server.port, ADA)
        assert not refused(here, HERE6, server.port, ADA)


def test_a_connection_from_before_ends_at_its_next_word(here: Network, talk: socket.socket) -> None:
    with serving(here, "127.0.0.1") as server:

        def before() -> socket.socket:
            line = socket.create_connection(("127.0.0.1", server.port), 5)
            line.sendall(b"1")
            assert line.recv(1) == b"!"
            return line

        with here.inside(before, ADA) as line, here.inside(before, REMIT) as own:
            fence.replace(talk, [way("127.0.0.1", server.port)], REMIT)
            with pytest.raises(ConnectionError):
                _insist(line)
            own.sendall(b"3")
            assert own.recv(1) == b"!"
        assert b"2" not in b"".join(server.heard)


def _insist(line: socket.socket) -> None:
    for _ in range(20):
        line.sendall(b"2")
        time.sleep(0.01)


def _mptcp(port: int) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP) as line:
        line.settimeout(5)
        line.connect(("127.0.0.1", port))
        line.sendall(b"?")
        return line.recv(1)


def _fast_open(port: int) -> bytes:
    with socket.socket() as line:
        line.sendto(b"?", FAST_OPEN, ("127.0.0.1", port))
        return line.recv(1)


def _through_a_device(port: int) -> bytes:
    with socket.socket() as line:
        line.settimeout(5)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"near\0")
        line.connect((HERE, port))
        line.sendall(b"?")
        return line.recv(1)


def _as_mapped_ipv6(port: int) -> bytes:
    with socket.socket(socket.AF_INET6) as line:
        line.settimeout(5)
        line.connect(("::ffff:127.0.0.1", port))
        line.sendall(b"?")
        return line.recv(1)


def _at_no_address(port: int) -> bytes:
    with socket.create_connection(("0.0.0.0", port), 5) as line:
        line.sendall(b"?")
        return line.recv(1)


def _closed_while_connecting(port: int) -> bytes:
    """Whatever leaves a socket that is nobody's any more."""
    with socket.socket() as line:
        line.setblocking(False)
        with suppress(BlockingIOError):
            line.connect(("127.0.0.1", port))
        line.send(b"?")
    time.sleep(0.1)
    return b""


TRICKS = (
    _mptcp,
    _fast_open,
    _through_a_device,
    _as_mapped_ipv6,
    _at_no_address,
    _closed_while_connecting,
)


@pytest.mark.parametrize("trick", TRICKS, ids=lambda one: one.__name__)
def test_no_trick_of_a_caller_gets_through(here: Network, talk: socket.socket, trick: Callable[[int], bytes]) -> None:
    with serving(here, "0.0.0.0") as server:
        here.inside(lambda: trick(server.port), ADA)
        assert server.heard == [b"?"], "it does without the fence"
        fence.replace(talk, [way("0.0.0.0", server.port)], REMIT)
        with suppress(ConnectionError):
            here.inside(lambda: trick(server.port), ADA)
        assert server.heard == [b"?"]


def test_where_a_redirection_leads_is_refused_too(here: Network, talk: socket.socket) -> None:
    with serving(here, "127.0.0.1") as server:
        fence.replace(talk, [way("127.0.0.1", server.port)], REMIT)
        here.nft(
            "table ip leads { chain c { type nat hook output priority -100; policy accept;"
            f" tcp dport 7 redirect to :{server.port};\n}}\n}}"
        )
        try:
            assert refused(here, "127.0.0.1", 7, ADA)
            assert not refused(here, "127.0.0.1", 7, REMIT)
        finally:
            here.nft("delete table ip leads")


def test_other_machines_only_when_it_says_so(here: Network, talk: socket.socket) -> None:
    with serving(here, "0.0.0.0") as server:
        fence.replace(talk, [way("0.0.0.0", server.port)], REMIT)
        assert not refused(here, HERE, server.port, ADA, far=True)
        fence.replace(talk, [way("0.0.0.0", server.port, everywhere=True)], REMIT)
        assert refused(here, HERE, server.port, ADA, far=True)
        assert refused(here, HERE, server.port, REMIT, far=True), "a uid elsewhere is no proof here"
        assert not refused(here, HERE, server.port, REMIT)


def test_of_other_machines_too_only_the_family_that_is_meant(here: Network, talk: socket.socket) -> None:
    with serving(here, "::", only_ipv6=True) as server, serving(here, HERE, server.port):
        fence.replace(talk, [way("::", server.port, everywhere=True)], REMIT)
        assert not refused(here, HERE, server.port, ADA, far=True)
        assert refused(here, HERE6, server.port, ADA, far=True)


def test_one_more_uid_may_be_let_in(here: Network, talk: socket.socket) -> None:
    with serving(here, "127.0.0.1") as server:
        fence.replace(talk, [way("127.0.0.1", server.port, besides=SERVERS)], REMIT)
        assert not refused(here, "127.0.0.1", server.port, SERVERS)
        assert not refused(here, "127.0.0.1", server.port, REMIT)
        assert refused(here, "127.0.0.1", server.port, ADA)


WAYS = (way("127.0.0.1", 11434), way("::", 8080, everywhere=True), way("::1", 9000, besides=SERVERS))


@pytest.mark.parametrize(
    "meddled",
    [
        "flush ruleset",
        "flush table inet remit",
        "flush chain inet remit sent",
        "delete table inet remit",
        "add rule inet remit sent accept",
        "insert rule inet remit refuse accept",
        "add chain inet remit other",
        "add table inet remit { flags dormant; }",
        "add table inet remit { flags dormant; }; add rule inet remit came accept",
    ],
)
def test_a_table_that_was_meddled_with_does_not_stand(here: Network, talk: socket.socket, meddled: str) -> None:
    fence.replace(talk, WAYS, REMIT)
    assert fence_table.stands(WAYS, REMIT, talk)
    here.nft(meddled)
    assert not fence_table.stands(WAYS, REMIT, talk)
    fence.replace(talk, WAYS, REMIT)
    assert fence_table.stands(WAYS, REMIT, talk)


def test_it_stands_for_what_was_asked_alone(talk: socket.socket) -> None:
    fence.replace(talk, WAYS, REMIT)
    assert not fence_table.stands(WAYS[:2], REMIT, talk)
    assert not fence_table.stands((*WAYS, way("127.0.0.1", 5000)), REMIT, talk)
    assert not fence_table.stands(WAYS, REMIT + 1, talk)
    assert not fence_table.stands((), REMIT, talk)


def test_nothing_but_its_own_table_is_touched(here: Network, talk: socket.socket) -> None:
    here.nft("table inet mine { chain c { tcp dport 1 accept;\n}\n}")
    try:
        fence.replace(talk, WAYS, REMIT)
        assert "table inet remit" in here.run("/usr/sbin/nft list ruleset")
        fence.replace(talk, (), REMIT)
        left = here.run("/usr/sbin/nft list ruleset")
        assert "table inet mine" in left
        assert "remit" not in left
    finally:
        here.nft("delete table inet mine")


def test_as_nft_reads_it(here: Network, talk: socket.socket) -> None:
    fence.replace(talk, WAYS, REMIT)
    said = here.run("/usr/sbin/nft list table inet remit")
    for line in (
        f"meta skuid {REMIT} accept",
        f"meta skuid != {REMIT} reject with tcp reset",
        "tcp flags syn / fin,syn,rst,ack reject with tcp reset",
        "tcp dport 11434 meta oiftype loopback ip daddr 127.0.0.1 jump refuse",
        "tcp dport 8080 meta oiftype loopback meta nfproto ipv6 jump refuse",
        f"tcp dport 9000 meta oiftype loopback ip6 daddr ::1 meta skuid {SERVERS} accept",
        "type filter hook input priority filter; policy accept;",
        "tcp dport 8080 meta iiftype != loopback",
    ):
        assert line in said, line


# The process


@contextmanager
def started(here: Network) -> Iterator[Fence]:
    """Its own uid is this test's, root."""
    running = here.inside(lambda: start_fence(PROGRAM))
    assert running is not None
    try:
        yield running
    finally:
        running.close()
        here.inside(fence.lift)


def test_it_refuses_what_it_is_told_and_says_when_that_is_gone(here: Network) -> None:
    async def body(running: Fence) -> None:
        with serving(here, "127.0.0.1") as server:
            await running.stand([way("127.0.0.1", server.port)])
            assert await running.stands()
            assert refused(here, "127.0.0.1", server.port, ADA)
            here.nft("flush ruleset")
            assert not await running.stands()
            await running.stand([])
            assert await running.stands()
            assert not refused(here, "127.0.0.1", server.port, ADA)

    with started(here) as running:
        asyncio.run(body(running))


def test_what_it_refused_stays_refused_when_it_is_killed(here: Network) -> None:
    async def body(running: Fence) -> None:
        ended = asyncio.get_running_loop().create_future()
        running.mind(ended.set_result)
        with serving(here, "127.0.0.1") as server:
            await running.stand([way("127.0.0.1", server.port)])
            running.process.kill()
            assert await asyncio.wait_for(ended, 5) == -9
            with pytest.raises(StateError, match="does not answer"):
                await running.stands()
            assert refused(here, "127.0.0.1", server.port, ADA)

    with started(here) as running:
        asyncio.run(body(running))


def test_it_holds_one_capability_and_nothing_open_but_two_sockets(here: Network) -> None:
    async def body(running: Fence) -> None:
        await running.stand([])
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        rows = dict(line.split(":", 1) for line in status.splitlines())
        one = 1 << capabilities.CAP_NET_ADMIN
        assert {int(rows[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {one}
        assert {int(rows[name], 16) for name in ("CapInh", "CapAmb")} == {0}
        assert rows["Seccomp"].strip() == "2"
        assert rows["NoNewPrivs"].strip() == "1"
        fds = Path(f"/proc/{running.process.pid}/fd")
        assert [os.readlink(one) for one in fds.iterdir()].count("/dev/null") == 2
        assert sum(os.readlink(one).startswith("socket:") for one in fds.iterdir()) == 2

    with started(here) as running:
        asyncio.run(body(running))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0" * QUESTION.size,
        packed(1, 9),
        packed(1, STAND) + b"\0",
        packed(1, STAND, [way("127.0.0.1", 22)]),
        packed(1, STAND, [way("127.0.0.1", 1023)]),
        packed(1, STAND, [way("127.0.0.1", 2000 + one) for one in range(MAX_WAYS + 1)]),
        packed(1, STAND, [Way(5, b"\1\2\3\4", 2000)]),
        packed(1, STAND, [Way(4, b"\1\2\3\4\5", 2000)]),
    ],
)
def test_what_is_no_question_ends_it_and_changes_nothing(here: Network, talk: socket.socket, said: bytes) -> None:
    fence.replace(talk, WAYS, ROOT)
    with started(here) as running:
        line = running._line
        line.setblocking(True)
        line.settimeout(5)
        line.send(said)
        if said:
            assert line.recv(64) == b""
            assert running.process.wait(5) == 0
        assert fence_table.stands(WAYS, ROOT, talk)


def test_as_many_as_there_may_be(here: Network, talk: socket.socket) -> None:
    most = frozenset(way("127.0.0.1", 2000 + one, everywhere=True, besides=ADA) for one in range(MAX_WAYS))
    assert ways_in(packed(1, STAND, most)) == most
    with pytest.raises(ValueError, match="not a set"):
        ways_in(packed(1, STAND, [*most, way("127.0.0.2", 2000)]))

    async def body(running: Fence) -> None:
        await running.stand(most)

    with started(here) as running:
        asyncio.run(body(running))
        assert fence_table.stands(most, ROOT, talk)


def test_without_the_capability_there_is_none() -> None:
    """In a thread: capabilities are a thread's own."""

    def body() -> object:
        capabilities.drop_all()
        return start_fence()

    with network() as other:
        assert other.inside(body) is None


def test_the_kernels_refusal_is_told(here: Network) -> None:
    """As where its socket can be opened and nf_tables is not for it: here, one network's socket without the right."""
    opened = here.inside(fence.to_kernel)

    def body() -> None:
        capabilities.drop_all()
        fence.replace(opened, WAYS, REMIT)

    with opened, pytest.raises(PermissionError):
        here.inside(body)


def test_its_system_calls_open_and_start_nothing() -> None:
    for machine, arch in AUDIT_ARCH.items():
        program = FILTER.program(machine)
        for name in NUMBERS[machine].keys() & {
            "openat",
            "open",
            "openat2",
            "socket",
            "connect",
            "execve",
            "execveat",
            "clone",
            "fork",
            "ptrace",
            "kill",
            "sendmsg",
            "recvmsg",
            "mount",
            "setns",
            "unshare",
            "bpf",
            "ioctl",
            "process_vm_writev",
            "pidfd_getfd",
        }:
            call = number(name, machine)
            assert call is not None
            assert run(program, call=call, machine=arch) != RET_ALLOW, name
