"""Callers over unix sockets: by SO_PEERCRED and a pidfd, on new kernels and old."""

import os
import shutil
import signal
import socket

import pytest

from remit.errors import AttestationError
from remit.identity.attestation import Digests, attest_unix
from tests.attestation.children import NOBODY, become_nobody, forked, idle, needs_root, without_netlink
from tests.attestation.conftest import Server
from tests.attestation.test_attested import sleep_inheriting, wait_for_exec

SLEEP = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
KERNELS = pytest.mark.parametrize("peer_pidfd", [True, False], ids=["SO_PEERPIDFD", "before Linux 6.5"])


@KERNELS
def test_a_caller_is_known_and_stays_known(unix_server: Server, *, peer_pidfd: bool) -> None:
    unix_server.connect()
    with attest_unix(unix_server.accept(), peer_pidfd=peer_pidfd) as caller:
        assert caller.process is not None
        assert (caller.process.pid, caller.uid) == (os.getpid(), os.geteuid())
        caller.still()
        assert caller.finish_walk().pids == (os.getpid(),)
        assert caller.exhaustive


@KERNELS
def test_a_caller_that_has_exited_is_refused(unix_server: Server, *, peer_pidfd: bool) -> None:
    with forked(lambda line: (unix_server.connect(), line.send(b"connected"))) as child:
        assert child.hear() == "connected"
        accepted = unix_server.accept()
        child.wait_until_exited()
        with pytest.raises(AttestationError):
            attest_unix(accepted, peer_pidfd=peer_pidfd)
    with pytest.raises(AttestationError):  # and once it is reaped
        attest_unix(accepted, peer_pidfd=peer_pidfd)


def test_a_pid_that_does_not_hold_the_connection_is_refused_where_the_kernel_gives_no_handle(
    unix_server: Server,
) -> None:
    """A pid that was reused looks just so: alive, of the same uid, without the socket."""

    def pass_on(line: socket.socket) -> None:
        client = unix_server.connect()
        if os.fork() == 0:
            idle(line)
            os._exit(0)
        client.close()
        line.send(b"closed")
        signal.pause()

    with forked(pass_on) as child:
        assert {child.hear(), child.hear()} == {"ready", "closed"}
        accepted = unix_server.accept()
        with pytest.raises(AttestationError, match="does not hold the connection"):
            attest_unix(accepted, peer_pidfd=False)
        with attest_unix(accepted) as caller, pytest.raises(AttestationError, match="passed its connection on"):
            caller.finish_walk()


def test_a_caller_that_became_a_trusted_binary_beside_its_accomplice_is_refused_by_the_walk(
    unix_server: Server,
) -> None:
    def connect_lend_and_exec(line: socket.socket) -> None:
        client = unix_server.connect()
        if os.fork() == 0:
            idle(line)
            os._exit(0)
        sleep_inheriting(client)

    with forked(connect_lend_and_exec) as child:
        assert child.hear() == "ready"
        wait_for_exec(child.pid)
        with attest_unix(unix_server.accept()) as caller:
            assert caller.process is not None
            assert caller.process.exe == SLEEP
            with pytest.raises(AttestationError, match="held by two identities"):
                caller.finish_walk()


@needs_root
def test_a_caller_that_changed_its_uid_since_it_connected_is_refused(unix_server: Server) -> None:
    def connect_then_drop(line: socket.socket) -> None:
        unix_server.connect()
        become_nobody()
        idle(line)

    with forked(connect_then_drop) as child:
        assert child.hear() == "ready"
        with pytest.raises(AttestationError, match=f"made by uid 0 and is held by uid {NOBODY}"):
            attest_unix(unix_server.accept())


@needs_root
def test_a_caller_of_another_uid_is_known_by_uid_and_pid(unix_server: Server) -> None:
    def call(line: socket.socket) -> None:
        unix_server.connect()
        idle(line)

    def guard(line: socket.socket) -> None:
        become_nobody()
        for peer_pidfd in (True, False):
            with attest_unix(accepted, peer_pidfd=peer_pidfd) as caller:
                caller.still()
                caller.finish_walk()
                assert caller.process is not None
                line.send(f"{caller.uid} {caller.process.pid} {caller.process.exe}".encode())

    os.chmod(os.path.dirname(unix_server.address), 0o755)
    with forked(call) as child:
        assert child.hear() == "ready"
        accepted = unix_server.accept()
        with forked(guard) as gateway:
            assert gateway.hear() == gateway.hear() == f"0 {child.pid} None"


def test_the_walk_says_so_where_the_kernel_does_not_tell_peers(unix_server: Server) -> None:
    unix_server.connect()
    accepted = unix_server.accept()

    def guard(line: socket.socket) -> None:
        without_netlink()
        with attest_unix(accepted, peer_pidfd=False) as caller:
            caller.still()
            with pytest.raises(AttestationError, match="who is at the other end") as refusal:
                caller.finish_walk()
            line.send(refusal.value.hint.encode())

    with forked(guard) as gateway:
        assert "unix_diag" in gateway.hear()


@KERNELS
def test_a_caller_s_parents_are_told_with_what_they_run(unix_server: Server, *, peer_pidfd: bool) -> None:
    def call(line: socket.socket) -> None:
        unix_server.connect()
        idle(line)

    with forked(call) as child:
        assert child.hear() == "ready"
        with attest_unix(unix_server.accept(), peer_pidfd=peer_pidfd) as caller:
            assert caller.process is not None
            nearest = caller.process.parents[0]
    assert (nearest.pid, nearest.exe) == (os.getpid(), os.path.realpath("/proc/self/exe"))
    assert nearest.exe_sha256 is not None
    assert nearest.exe_sha256 == Digests().of("/proc/self/exe")
