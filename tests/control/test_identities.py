"""Who gets SVIDs: the process that is a workload, while that is active, and never as its person when it is not."""

import asyncio
import dataclasses
import hashlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from remit.control.identities import KernelIdentities
from remit.errors import AttestationError
from remit.identity import PeerCredentials, SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import LifeState
from remit.inventory.selectors import REGISTERED
from tests.attestation.children import forked, idle
from tests.attestation.conftest import Server
from tests.attestation.test_attested import sleep_inheriting, wait_for_exec
from tests.attestation.test_peercred import SLEEP
from tests.control.test_realm import LLAMA, World, a_server
from tests.fakes.reused import reuse

ADA = (SpiffeId.of("maple.local", "user", "ada"),)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world in which whoever runs these tests is ada."""
    one = World(tmp_path)
    one.meet("ada", os.getuid())
    yield one
    one.store.close()


@pytest.fixture
def unix_server(tmp_path: Path) -> Iterator[Server]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    with ExitStack() as stack:
        yield Server(listener, stack)


def identities(world: World, peer: PeerCredentials) -> tuple[SpiffeId, ...]:
    """What the process behind `peer` is now."""
    known = KernelIdentities(world.realm)
    try:
        return tuple(asyncio.run(known.identities(peer)))
    finally:
        known.close()


def whoever_runs(world: World, path: str) -> None:
    """Make the one workload any process whose executable is `path`."""
    sleeper = dataclasses.replace(
        a_server(), models=(), found=REGISTERED, selectors=(f"unix:path:{path}",), state=LifeState.ACTIVE
    )
    world.realm.workloads[LLAMA] = sleeper


@pytest.mark.parametrize("state", LifeState)
def test_only_an_active_workload_has_an_identity(world: World, state: LifeState) -> None:
    me = observe(os.getpid(), digests=EXECUTABLES)
    world.realm.workloads[LLAMA] = dataclasses.replace(
        a_server(), models=(), pid=me.pid, start=me.start, selectors=(f"unix:uid:{me.uid}",), state=state
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        calling = PeerCredentials.of(ours)
        assert identities(world, calling) == ((LLAMA,) if state is LifeState.ACTIVE else ())
        del world.realm.workloads[LLAMA]
        assert identities(world, calling) == ADA
        calling.close()


def test_a_caller_that_becomes_another_program_is_that_one_at_its_next_fetch(
    world: World, unix_server: Server
) -> None:
    whoever_runs(world, SLEEP)

    def connect_then_exec(line: socket.socket) -> None:
        client = unix_server.connect()
        idle(line)
        sleep_inheriting(client)

    with forked(connect_then_exec) as child:
        assert child.hear() == "ready"
        calling = PeerCredentials.of(unix_server.accept())
        assert identities(world, calling) == ADA
        child.say()
        wait_for_exec(child.pid)
        assert identities(world, calling) == (LLAMA,)
        whoever_runs(world, "/usr/bin/another")
        assert identities(world, calling) == ADA
        calling.close()


@pytest.mark.parametrize("fetched_before", [False, True])
def test_who_becomes_a_workload_s_program_and_leaves_the_connection_to_another_gets_no_svid(
    world: World, unix_server: Server, fetched_before: bool
) -> None:
    whoever_runs(world, SLEEP)

    def connect_lend_and_exec(line: socket.socket) -> None:
        client = unix_server.connect()
        if os.fork() == 0:  # it would read the SVID
            signal.pause()
        idle(line)
        sleep_inheriting(client)

    with forked(connect_lend_and_exec) as child:
        assert child.hear() == "ready"
        calling = PeerCredentials.of(unix_server.accept())
        if fetched_before:
            assert identities(world, calling) == ADA
        child.say()
        wait_for_exec(child.pid)
        assert identities(world, calling) == ()
        calling.close()


def test_a_later_process_of_the_same_number_inherits_nothing(world: World, unix_server: Server) -> None:
    def connect_and_end(line: socket.socket) -> None:
        unix_server.connect()
        line.send(b"connected")
        line.recv(100)

    with forked(connect_and_end) as child:
        assert child.hear() == "connected"
        calling = PeerCredentials.of(unix_server.accept())
        assert identities(world, calling) == ADA
        former = child.pid
    later = reuse(former, signal.pause)
    try:
        assert (observe(later, digests=EXECUTABLES).pid, observe(later, digests=EXECUTABLES).uid) == (
            former,
            os.getuid(),
        )
        assert identities(world, calling) == ()
        with pytest.raises(AttestationError, match="has exited"):
            calling.process.attest()
    finally:
        os.kill(later, signal.SIGKILL)
        os.waitpid(later, 0)
        calling.close()


def test_credentials_that_no_socket_gave_are_nobody_s(world: World) -> None:
    assert identities(world, PeerCredentials(os.getpid(), os.getuid(), os.getgid())) == ()


def test_an_executable_replaced_between_two_fetches_takes_the_identity_away(
    world: World, unix_server: Server, tmp_path: Path
) -> None:
    tool = str(shutil.copy(SLEEP, tmp_path / "tool"))
    whoever_runs(world, tool)

    def connect_then_exec(line: socket.socket) -> None:
        client = unix_server.connect()
        line.send(b"connected")
        client.set_inheritable(True)
        os.execv(tool, ["tool", "60"])

    with forked(connect_then_exec) as child:
        assert child.hear() == "connected"
        calling = PeerCredentials.of(unix_server.accept())
        while os.readlink(f"/proc/{child.pid}/exe") != tool:
            os.sched_yield()
        assert identities(world, calling) == (LLAMA,)
        Path(shutil.copy(shutil.which("cat") or "/bin/cat", tmp_path / "new")).replace(tool)
        assert identities(world, calling) == ADA
        calling.close()


def test_a_script_rewritten_in_place_between_two_fetches_takes_the_identity_away(
    world: World, unix_server: Server, tmp_path: Path
) -> None:
    script = tmp_path / "agent.py"
    script.write_text("import time; time.sleep(60)")
    digest = hashlib.sha256(script.read_bytes()).hexdigest()
    whoever_runs(world, "/unused")
    world.realm.workloads[LLAMA] = dataclasses.replace(
        world.realm.workloads[LLAMA], selectors=(f"script:path:{script}", f"script:sha256:{digest}")
    )

    def connect_then_exec(line: socket.socket) -> None:
        client = unix_server.connect()
        client.set_inheritable(True)
        os.execv(sys.executable, [sys.executable, str(script)])

    with forked(connect_then_exec) as child:
        calling = PeerCredentials.of(unix_server.accept())
        while str(script).encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes():
            os.sched_yield()
        assert identities(world, calling) == (LLAMA,)
        script.write_text("import time; time.sleep(61)")  # whichever of the two it has read: it goes on
        assert identities(world, calling) == ADA
        calling.close()
