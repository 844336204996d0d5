"""The kernel's socket tables: which socket is at the other end, and what listens here."""

import os
import resource
import socket
import struct
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import AttestationError
from remit.identity.attestation import listeners, lookup, netlink, proc_net, sock_diag, unix_diag, unix_listeners
from tests.attestation.children import NOBODY, become_nobody, forked, idle, needs_root, without_netlink
from tests.attestation.conftest import Server

End = tuple[str, int]


def inode_of(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def listen_on(open_things: ExitStack, family: socket.AddressFamily, address: str, *, dual: bool = False) -> Server:
    listener = socket.create_server((address, 0), family=family, dualstack_ipv6=dual)
    return Server(listener, open_things)


def ends(accepted: socket.socket) -> tuple[End, End]:
    """The client's own end and its peer, as the server sees them."""
    return accepted.getpeername()[:2], accepted.getsockname()[:2]


def test_finds_the_client_socket_of_an_ipv4_connection(server: Server) -> None:
    client = server.connect()
    facts = lookup(*ends(server.accept()))
    assert (facts.inode, facts.uid, facts.state) == (inode_of(client), os.geteuid(), "established")


def test_finds_the_client_socket_of_an_ipv6_connection(open_things: ExitStack) -> None:
    server = listen_on(open_things, socket.AF_INET6, "::1")
    client = server.connect()
    assert lookup(*ends(server.accept())).inode == inode_of(client)


def test_finds_an_ipv4_client_of_a_server_that_listens_on_both(open_things: ExitStack) -> None:
    server = listen_on(open_things, socket.AF_INET6, "::", dual=True)
    client = open_things.enter_context(socket.create_connection(("127.0.0.1", server.address[1])))
    accepted = server.accept()
    assert accepted.getpeername()[0] == "::ffff:127.0.0.1"
    assert lookup(*ends(accepted)).inode == inode_of(client)


def test_finds_an_ipv6_client_that_calls_an_ipv4_server_by_its_mapped_address(server: Server) -> None:
    with socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", server.address[1]))
        assert lookup(*ends(server.accept())).inode == inode_of(client)


@needs_root
def test_finds_a_client_that_is_bound_to_the_loopback_device(server: Server) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        client.connect(server.address)
        assert lookup(*ends(server.accept())).inode == inode_of(client)


def test_never_takes_a_listener_for_the_client(server: Server) -> None:
    with pytest.raises(AttestationError, match="not held by a process of this host"):
        lookup(server.address, ("127.0.0.1", 1))


def test_refuses_the_socket_whose_writer_has_closed_it(server: Server) -> None:
    client = server.connect()
    accepted = server.accept()
    client.close()
    with pytest.raises(AttestationError, match="has exited"):
        lookup(*ends(accepted))


def test_finds_a_client_that_has_sent_all_it_will(server: Server) -> None:
    client = server.connect()
    accepted = server.accept()
    client.shutdown(socket.SHUT_WR)
    assert lookup(*ends(accepted)).state in {"fin-wait-1", "fin-wait-2"}
    assert lookup(*ends(accepted)).inode == inode_of(client)


def test_refuses_a_caller_that_is_on_another_host(server: Server) -> None:
    server.connect()
    with pytest.raises(AttestationError) as refusal:
        lookup(("192.0.2.1", 40000), server.address)
    assert refusal.value.hint


@pytest.mark.parametrize("local", [("localhost", 1), ("127.0.0.1\0", 1), ("", 1), ("::1", 1)])
def test_refuses_ends_that_are_not_a_connection(local: End) -> None:
    with pytest.raises(AttestationError):
        lookup(local, ("127.0.0.1", 1))


@needs_root
def test_says_who_created_the_socket(server: Server) -> None:
    def call_as_nobody(line: socket.socket) -> None:
        become_nobody()
        with socket.create_connection(server.address):
            idle(line)

    with forked(call_as_nobody) as child:
        assert child.hear() == "ready"
        assert lookup(*ends(server.accept())).uid == NOBODY


def test_finds_each_of_two_thousand_idle_sockets(server: Server) -> None:
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * count + 200:
        pytest.skip(f"TOO FEW DESCRIPTORS: hard limit {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * count + 200), hard))
    try:
        pairs = [(server.connect(), server.accept()) for _ in range(count)]
        assert [lookup(*ends(accepted)).inode for _, accepted in pairs] == [inode_of(client) for client, _ in pairs]
        caller = server.attest(pairs[count // 2][1])
        assert caller.process is not None
        assert caller.process.pid == os.getpid()
        assert os.getpid() in caller.finish_walk().pids
        for client, accepted in pairs:
            client.close()
            accepted.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_reads_the_text_tables_where_netlink_is_forbidden(open_things: ExitStack, server: Server) -> None:
    six = listen_on(open_things, socket.AF_INET6, "::", dual=True)
    mapped = open_things.enter_context(socket.socket(socket.AF_INET6))
    mapped.connect(("::ffff:127.0.0.1", server.address[1]))
    gone = server.connect()
    clients = {inode_of(mapped): server.accept()}
    accepted_gone = server.accept()
    ordinary = server.connect()
    clients[inode_of(ordinary)] = server.accept()
    plain = open_things.enter_context(socket.create_connection(("127.0.0.1", six.address[1])))
    clients[inode_of(plain)] = six.accept()
    own = open_things.enter_context(socket.create_connection(("::1", six.address[1])))
    clients[inode_of(own)] = six.accept()
    gone.close()
    before = listeners()

    def look(line: socket.socket) -> None:
        without_netlink()
        with pytest.raises(OSError, match="family"):
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
        for inode, accepted in clients.items():
            assert lookup(*ends(accepted)).inode == inode
            assert lookup(*ends(accepted)).uid == os.geteuid()
        for absent in (ends(accepted_gone), (server.address, ("127.0.0.1", 1))):
            with pytest.raises(AttestationError):
                lookup(*absent)
        assert {(one.address, one.port) for one in listeners()} >= {("127.0.0.1", server.address[1])}
        missing = {one for one in before if one.port in {server.address[1], six.address[1]}} - set(listeners())
        line.send(f"looked, missing {missing}".encode())

    with forked(look) as child:
        assert child.hear() == "looked, missing set()"


def test_lists_what_listens(open_things: ExitStack, server: Server) -> None:
    six = listen_on(open_things, socket.AF_INET6, "::1")
    found = {(one.address, one.port): one for one in listeners()}
    four = found["127.0.0.1", server.address[1]]
    assert (four.family, four.inode, four.uid) == (socket.AF_INET, inode_of(server.listener), os.geteuid())
    assert found["::1", six.address[1]].family == socket.AF_INET6
    client = server.connect()
    assert client.getsockname()[1] not in {one.port for one in listeners()}


def test_lists_unix_sockets_by_path_also_abstract_and_with_odd_names(
    open_things: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a unix socket's name has at most 107 bytes
    odd = "a b\n0: 00000002 00000000 00010000 0001 01 7 @forged"
    for name in ("plain", odd, f"\0remit-test-{os.getpid()}"):
        listener = open_things.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(name)
        listener.listen()
    paths = {one.path for one in unix_listeners()}
    assert {"plain", odd, f"@remit-test-{os.getpid()}"} <= paths
    assert "@forged" not in paths


def test_lists_unix_sockets_where_netlink_is_forbidden(unix_server: Server) -> None:
    def look(line: socket.socket) -> None:
        without_netlink()
        inodes = {one.path: one.inode for one in unix_listeners()}
        line.send(str(inodes.get(unix_server.address)).encode())

    with forked(look) as child:
        assert child.hear() == str(inode_of(unix_server.listener))


def test_names_the_other_end_of_a_unix_socket(unix_server: Server) -> None:
    client = unix_server.connect()
    accepted = unix_server.accept()
    assert unix_diag.peer_inode(inode_of(accepted)) == inode_of(client)
    client.close()
    assert unix_diag.peer_inode(inode_of(accepted)) == 0


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_from_netlink_are_parsed_or_refused(chunk: bytes) -> None:
    try:
        bodies = list(netlink.messages(chunk))
    except OSError:
        return
    assert sum(map(len, bodies)) <= len(chunk)
    assert all(len(value) <= len(chunk) for _, value in netlink.attributes(chunk))


@given(st.integers(1, 200), st.binary(max_size=40))
def test_an_error_from_netlink_is_raised_as_that_error(number: int, rest: bytes) -> None:
    body = struct.pack("=i", -number) + rest
    with pytest.raises(OSError, match=rf"^\[Errno {number}\]"):
        list(netlink.messages(struct.pack("=IHHII", 16 + len(body), 2, 0, 1, 0) + body))


@given(st.binary(max_size=71))
def test_a_short_answer_is_refused(body: bytes) -> None:
    with pytest.raises(OSError, match="cut short"):
        sock_diag.parse_answer(body)


_END = st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65535))


@given(_END, _END, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_line_of_the_table_is_found_by_its_two_ends(own: End, peer: End, uid: int, inode: int) -> None:
    local, remote = ((socket.inet_aton(address), port) for address, port in (own, peer))
    (_, needle), (_, mapped) = proc_net.ends_in_table(local, remote)
    head = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    tail = b" 0A 00000000:00000000 00:00000000 00000000 %5d        0 %d 1 0 100 0 0 10 0\n" % (uid, inode)
    assert proc_net.find_connection(head + b"   0: " + needle + tail, needle) == (10, uid, inode)
    assert proc_net.find_connection(head + b"   0: " + mapped + tail, mapped) == (10, uid, inode)
    assert proc_net.find_connection(head, needle) is None
    assert list(proc_net.listening(head + b"   0: " + needle + tail)) == [(*own, uid, inode)]
