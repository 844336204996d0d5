"""Who holds a socket: among the likely processes, among all, and in tables that threads keep for themselves."""

import os
import signal
import socket
import threading

import pytest

from remit.errors import AttestationError
from remit.identity.attestation import descriptors, exhaustive, holders, lookup
from remit.identity.attestation.kin import children_now, kin
from remit.identity.attestation.lineage import Lineages
from tests.attestation.children import (
    NOBODY,
    become_nobody,
    forked,
    idle,
    needs_root,
    set_dumpable,
    unshare_descriptors,
)
from tests.attestation.conftest import Server

ME = os.getpid()


def inode_of(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def inline(inode: int, uid: int, hint: int | None = None) -> tuple[int, ...]:
    """The first likely holder, and those of its kin that hold the socket too."""
    search = holders.quick([inode])
    for pid in holders.likely_of(uid, [] if hint is None else [hint]):
        if search.held(pid):
            return pid, *(other for other in kin(pid, Lineages(), children_now()) if search.held(other))
    return ()


def test_the_holder_is_found_with_and_without_a_hint(server: Server) -> None:
    inode = inode_of(server.connect())
    for hint in (None, os.getpid(), 1, 2**22 + 1):
        assert inline(inode, os.geteuid(), hint) == (os.getpid(),)


def test_processes_that_just_started_are_looked_at_before_all_are_listed() -> None:
    with forked(idle) as first, forked(idle) as second:
        assert first.hear() == second.hear() == "ready"
        newest = list(holders.just_started())
        looked_at = list(holders.likely_of(os.geteuid(), [ME]))
    assert newest.index(second.pid) < newest.index(first.pid)
    assert looked_at[0] == ME
    assert {first.pid, second.pid} <= set(looked_at[1 : 1 + len(newest)])
    assert len(looked_at) == len(set(looked_at)), "each once"


def test_a_thread_that_just_started_is_not_taken_for_a_process() -> None:
    """`/proc` has a directory for a thread's number too, with the open files of its process."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert thread.native_id in holders.just_started()
        looked_at = list(holders.likely_of(os.geteuid()))
    finally:
        over.set()
        thread.join()
    assert thread.native_id not in looked_at
    assert ME in looked_at


def test_a_socket_that_nobody_holds_has_no_holders(server: Server) -> None:
    with socket.socket() as gone:
        inode = inode_of(gone)
    assert inline(inode, os.geteuid()) == ()
    assert exhaustive(inode).pids == ()
    assert exhaustive(inode).complete


def test_parents_and_children_that_share_the_socket_are_found_together(server: Server) -> None:
    inode = inode_of(server.connect())
    with forked(idle) as one, forked(idle) as two:
        assert one.hear() == two.hear() == "ready"
        family = {os.getpid(), one.pid, two.pid}
        for hint in (None, os.getpid(), two.pid):
            assert set(inline(inode, os.geteuid(), hint)) >= {os.getpid(), hint or two.pid}
        assert set(inline(inode, os.geteuid(), os.getpid())) == family
        assert set(exhaustive(inode).pids) == family


def test_the_walk_finds_a_holder_that_did_not_connect(server: Server) -> None:
    def hand_on_and_let_go(line: socket.socket) -> None:
        client = server.connect()
        if os.fork() == 0:
            signal.pause()
        client.close()
        idle(line)

    with forked(hand_on_and_let_go) as child:
        assert child.hear() == "ready"
        accepted = server.accept()
        inode = server_side_inode(accepted)
        (grandchild,) = exhaustive(inode).pids
        assert grandchild not in {child.pid, os.getpid()}


def server_side_inode(accepted: socket.socket) -> int:
    return lookup(accepted.getpeername(), accepted.getsockname()).inode


def test_the_walk_sees_a_socket_that_only_one_thread_holds(server: Server) -> None:
    def hide(line: socket.socket) -> None:
        client = server.connect()
        hidden, closed = threading.Event(), threading.Event()

        def keep() -> None:
            unshare_descriptors()
            hidden.set()
            closed.wait()

        threading.Thread(target=keep, daemon=True).start()
        hidden.wait()
        client.close()
        idle(line)

    with forked(hide) as child:
        assert child.hear() == "ready"
        inode = server_side_inode(server.accept())
        assert not holders.quick([inode]).held(child.pid)
        assert exhaustive(inode).pids == (child.pid,)
        assert holders.holds(child.pid, inode)


@needs_root
def test_processes_that_cannot_be_read_are_counted(server: Server) -> None:
    inode = inode_of(server.connect())

    def look(line: socket.socket) -> None:
        become_nobody()
        found = exhaustive(inode)
        line.send(f"{os.getpid() in found.pids} {ME in found.pids} {found.unreadable > 0}".encode())

    with forked(look) as child:
        assert child.hear() == "True False True"


@needs_root
def test_only_the_sockets_own_uid_is_looked_through_inline(server: Server) -> None:
    inode = inode_of(server.connect())
    assert inline(inode, NOBODY, hint=ME) == ()


def test_a_process_that_is_not_dumpable_sees_others(server: Server) -> None:
    def look(line: socket.socket) -> None:
        line.recv(100)
        set_dumpable(False)
        line.send(str(inline(inode_of(client), os.geteuid(), ME)[0]).encode())

    client = server.connect()
    with forked(look) as child:
        child.say()
        assert child.hear() == str(ME)


def test_a_process_with_too_many_open_files_ends_the_search() -> None:
    budget = descriptors.Budget(2)
    with pytest.raises(AttestationError, match="too many open files"):
        descriptors.in_main_table(os.getpid(), frozenset({"socket:[0]"}), budget)
