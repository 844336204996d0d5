"""Callers over TCP: who they are, whether they still are, and whether they are the only ones."""

import array
import gc
import os
import shutil
import signal
import socket
import threading

import pytest

from remit.errors import AttestationError
from remit.identity.attestation import EXECUTABLES, Attested, Memory, attest_pid, attest_tcp, holders
from remit.identity.attestation.attested import observe_holder
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

SLEEP = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
TWO = "held by two identities"


def process_of(caller: Attested) -> tuple[int, str | None]:
    assert caller.process is not None
    return caller.process.pid, caller.process.exe


def sleep_inheriting(*socks: socket.socket) -> None:
    for sock in socks:
        sock.set_inheritable(True)
    os.execv(SLEEP, ["sleep", "60"])


def wait_for_exec(pid: int) -> None:
    for _ in range(200_000):
        if os.readlink(f"/proc/{pid}/exe") == SLEEP:
            return
        os.sched_yield()
    pytest.fail(f"process {pid} did not exec")


def test_a_caller_in_this_process_is_known_and_stays_known(server: Server) -> None:
    server.connect()
    caller = server.attest()
    assert process_of(caller) == (os.getpid(), os.path.realpath("/proc/self/exe"))
    assert caller.uid == os.geteuid()
    caller.still()
    assert not caller.exhaustive
    found = caller.finish_walk()
    assert (found.pids, found.complete, caller.exhaustive) == ((os.getpid(),), True, True)


def test_a_number_that_a_caller_no_longer_has_does_no_harm(server: Server) -> None:
    server.connect()
    accepted = server.accept()
    memory = Memory()
    for number in (1, 2**22 + 1):
        memory.recent.called(os.geteuid(), number)
    with attest_tcp(accepted.getpeername(), accepted.getsockname(), memory=memory) as caller:
        assert process_of(caller)[0] == os.getpid()


def test_forked_workers_are_one_identity_named_by_the_oldest(server: Server) -> None:
    server.connect()
    with forked(idle) as one, forked(idle) as two:
        assert one.hear() == two.hear() == "ready"
        caller = server.attest()
        assert process_of(caller)[0] == os.getpid()
        assert set(caller.finish_walk().pids) == {os.getpid(), one.pid, two.pid}


def test_a_caller_that_execs_a_trusted_binary_is_not_what_it_was(server: Server) -> None:
    def call_then_exec(line: socket.socket) -> None:
        client = server.connect()
        idle(line)
        sleep_inheriting(client)

    with forked(call_then_exec) as child:
        assert child.hear() == "ready"
        caller = server.attest()
        caller.still()
        child.say()
        wait_for_exec(child.pid)
        with pytest.raises(AttestationError, match="changed its executable"):
            caller.still()
        with pytest.raises(AttestationError, match="changed its executable"):
            caller.finish_walk()


def test_a_connection_shared_with_a_trusted_child_is_refused_at_once(server: Server) -> None:
    def call_then_lend(line: socket.socket) -> None:
        client = server.connect()
        trusted = os.fork()
        if trusted == 0:
            sleep_inheriting(client)
        wait_for_exec(trusted)
        idle(line)

    with forked(call_then_lend) as child:
        assert child.hear() == "ready"
        with pytest.raises(AttestationError, match=TWO) as refusal:
            server.attest()
        assert "sleep" in str(refusal.value)


def lend_to_orphan(server: Server, line: socket.socket) -> None:
    """Connect, and leave the connection also with a trusted binary that is no kin of ours any more."""
    client = server.connect()
    read, write = os.pipe()
    if (between := os.fork()) == 0:
        if (trusted := os.fork()) == 0:
            sleep_inheriting(client)
        os.write(write, str(trusted).encode())
        os._exit(0)
    os.waitpid(between, 0)
    trusted = int(os.read(read, 20))
    wait_for_exec(trusted)
    line.send(str(trusted).encode())


def test_a_connection_shared_with_a_stranger_is_refused_by_the_walk(server: Server) -> None:
    def call_then_lend(line: socket.socket) -> None:
        lend_to_orphan(server, line)
        idle(line)

    with forked(call_then_lend) as child:
        orphan = int(child.hear())
        caller = server.attest()  # the newest holder of that uid: the trusted binary
        assert process_of(caller) == (orphan, SLEEP)
        with pytest.raises(AttestationError, match=TWO):
            caller.finish_walk()
        assert not caller.exhaustive


def test_a_thread_that_keeps_the_connection_to_itself_is_seen_by_the_walk(server: Server) -> None:
    def call_lend_and_hide(line: socket.socket) -> None:
        client = server.connect()
        trusted = os.fork()
        if trusted == 0:
            sleep_inheriting(client)
        wait_for_exec(trusted)
        hidden = threading.Event()

        def keep() -> None:
            unshare_descriptors()
            hidden.set()
            threading.Event().wait()

        threading.Thread(target=keep, daemon=True).start()
        hidden.wait()
        client.close()
        line.send(str(trusted).encode())
        line.recv(100)

    with forked(call_lend_and_hide) as child:
        trusted = int(child.hear())
        caller = server.attest()
        assert process_of(caller) == (trusted, SLEEP)
        with pytest.raises(AttestationError, match=TWO):
            caller.finish_walk()


def test_a_child_that_lets_go_at_exec_is_no_second_identity(server: Server) -> None:
    def call_then_spawn(line: socket.socket) -> None:
        server.connect()
        trusted = os.fork()
        if trusted == 0:
            os.execv(SLEEP, ["sleep", "60"])  # Python's sockets are close-on-exec
        wait_for_exec(trusted)
        idle(line)

    with forked(call_then_spawn) as child:
        assert child.hear() == "ready"
        caller = server.attest()
        assert caller.finish_walk().pids == (child.pid,)


def test_a_process_that_let_go_while_it_was_looked_at_is_no_holder(server: Server) -> None:
    client = server.connect()
    inode = os.fstat(client.fileno()).st_ino
    assert observe_holder(os.getpid(), inode, EXECUTABLES) is not None
    client.close()
    assert observe_holder(os.getpid(), inode, EXECUTABLES) is None


def test_a_caller_that_exits_is_noticed_also_while_a_child_keeps_the_connection(server: Server) -> None:
    def call_then_fork(line: socket.socket) -> None:
        server.connect()
        if os.fork() == 0:
            idle(line)
            os._exit(0)
        threading.Event().wait()

    with forked(call_then_fork) as child:
        assert child.hear() == "ready"
        caller = server.attest()
        assert process_of(caller)[0] == child.pid
        os.kill(child.pid, signal.SIGKILL)
        child.wait_until_exited()
        for check in (caller.still, caller.finish_walk):
            with pytest.raises(AttestationError):
                check()


def test_a_caller_that_let_go_of_its_connection_is_refused_by_the_walk(server: Server) -> None:
    def call_then_pass_on(line: socket.socket) -> None:
        client = server.connect()
        if os.fork() == 0:
            signal.pause()
        idle(line)
        client.close()
        idle(line)

    with forked(call_then_pass_on) as child:
        assert child.hear() == "ready"
        caller = server.attest()
        assert process_of(caller)[0] == child.pid
        child.say()
        assert child.hear() == "ready"
        with pytest.raises(AttestationError, match="passed its connection on"):
            caller.finish_walk()


@needs_root
def test_a_caller_that_changes_its_uid_is_not_what_it_was(server: Server) -> None:
    def call_then_drop(line: socket.socket) -> None:
        server.connect()
        idle(line)
        become_nobody()
        idle(line)

    with forked(call_then_drop) as child:
        assert child.hear() == "ready"
        caller = server.attest()
        child.say()
        assert child.hear() == "ready"
        with pytest.raises(AttestationError, match=f"changed its uid from 0 to {NOBODY}"):
            caller.still()


@needs_root
def test_a_caller_of_another_uid_is_known_to_root(server: Server) -> None:
    def call(line: socket.socket) -> None:
        become_nobody()
        server.connect()
        idle(line)

    with forked(call) as child:
        assert child.hear() == "ready"
        caller = server.attest()
        assert caller.uid == NOBODY
        assert process_of(caller) == (child.pid, os.path.realpath("/proc/self/exe"))
        caller.finish_walk()


def hand_over(line: socket.socket, sock: socket.socket) -> None:
    line.sendmsg([b"take"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))])


def take_over(line: socket.socket) -> socket.socket:
    _, fds, _, _ = socket.recv_fds(line, 100, 1)
    return socket.socket(fileno=fds[0])


@needs_root
def test_a_connection_shared_with_another_uid_is_refused_at_once_within_a_family(server: Server) -> None:
    def call_and_pass_on(line: socket.socket) -> None:
        become_nobody()
        hand_over(line, server.connect())
        idle(line)

    with forked(call_and_pass_on) as child, take_over(child.line):
        assert child.hear() == "ready"
        with pytest.raises(AttestationError, match=f"made by uid {NOBODY} and is held by uid 0"):
            server.attest()


@needs_root
@pytest.mark.parametrize("creator_keeps_it", [True, False])
def test_a_connection_passed_to_another_uid_is_refused(server: Server, *, creator_keeps_it: bool) -> None:
    def call_and_pass_on(line: socket.socket) -> None:
        become_nobody()
        client = server.connect()
        hand_over(line, client)
        if not creator_keeps_it:
            client.close()
        idle(line)

    with forked(call_and_pass_on) as child, take_over(child.line) as passed, forked(idle) as stranger:
        passed.close()
        assert child.hear() == stranger.hear() == "ready"
        if creator_keeps_it:
            caller = server.attest()
            assert process_of(caller)[0] == child.pid
            with pytest.raises(AttestationError, match=rf"(?s){TWO}.*uid {NOBODY}.*uid 0"):
                caller.finish_walk()
        else:
            with pytest.raises(AttestationError, match=f"no process of uid {NOBODY} holds"):
                server.attest()


def attest_as_nobody(server: Server, accepted: socket.socket) -> str:
    """What an unprivileged gateway, itself not dumpable, makes of a connection."""
    become_nobody(dumpable=False)
    with server.attest(accepted) as caller:
        caller.still()
        caller.finish_walk()
        known = "unknown" if caller.process is None else f"{caller.process.pid} {caller.process.exe}"
        return f"uid {caller.uid}: {known}"


@needs_root
@pytest.mark.parametrize(
    ("uid", "dumpable", "known"),
    [(NOBODY, True, True), (NOBODY, False, False), (0, True, False)],
    ids=["same uid", "same uid, not dumpable", "another uid"],
)
def test_an_unprivileged_gateway_knows_what_the_kernel_lets_it(
    server: Server, uid: int, dumpable: bool, known: bool
) -> None:
    def call(line: socket.socket) -> None:
        if uid:
            become_nobody(dumpable=dumpable)
        server.connect()
        idle(line)

    with forked(call) as caller:
        assert caller.hear() == "ready"
        accepted = server.accept()
        with forked(lambda line: line.send(attest_as_nobody(server, accepted).encode())) as gateway:
            what = f"{caller.pid} {os.path.realpath('/proc/self/exe')}" if known else "unknown"
            assert gateway.hear() == f"uid {uid}: {what}"


@needs_root
def test_a_caller_known_by_uid_only_is_refused_once_it_is_gone(server: Server) -> None:
    def call(line: socket.socket) -> None:
        server.connect()
        idle(line)

    def guard(line: socket.socket) -> None:
        become_nobody()
        caller = server.attest(accepted)
        assert caller.process is None
        caller.still()
        idle(line)
        for check in (caller.still, caller.finish_walk):
            with pytest.raises(AttestationError):
                check()
        line.send(b"refused twice")

    with forked(call) as child:
        assert child.hear() == "ready"
        accepted = server.accept()
        with forked(guard) as gateway:
            assert gateway.hear() == "ready"
            os.kill(child.pid, signal.SIGKILL)
            child.wait_until_exited()
            gateway.say()
            assert gateway.hear() == "refused twice"


def test_a_process_that_is_not_dumpable_attests_others(server: Server) -> None:
    server.connect()
    accepted = server.accept()

    def guard(line: socket.socket) -> None:
        set_dumpable(False)
        server.attest(accepted).still()
        line.send(b"attested")

    with forked(guard) as gateway:
        assert gateway.hear() == "attested"


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_caller_is_closed_once_and_then_vouches_for_nobody() -> None:
    before = open_descriptors()
    caller = attest_pid(os.getpid())
    assert open_descriptors() == before + 1
    caller.close()
    caller.close()
    assert open_descriptors() == before
    with pytest.raises(AttestationError, match="closed"):
        caller.still()


def test_a_caller_that_was_forgotten_gives_its_handle_back() -> None:
    before = open_descriptors()
    caller = attest_pid(os.getpid())
    assert caller.finish_walk() == holders.Holders((os.getpid(),), complete=True, unreadable=0)
    del caller
    gc.collect()
    assert open_descriptors() == before


def test_a_refused_caller_leaves_nothing_open(server: Server) -> None:
    client = server.connect()
    accepted = server.accept()
    client.close()
    before = open_descriptors()
    with pytest.raises(AttestationError):
        server.attest(accepted)
    assert open_descriptors() == before


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**40])
def test_a_number_that_is_no_process_is_refused(pid: int) -> None:
    with pytest.raises(AttestationError, match=f"can't open process {pid}"):
        attest_pid(pid)
