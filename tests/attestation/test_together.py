"""Many connections at once: one pass answers them all, each by its own facts, and nobody waits behind a crowd."""

import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from remit.errors import AttestationError
from remit.identity.attestation import Arrivals, Attested, Memory, Walks, arrivals, attest_pid, holders
from remit.identity.attestation.together import CallersEnd, attest_together
from tests.attestation.children import NOBODY, PATIENCE, become_nobody, forked, idle, needs_root, set_dumpable
from tests.attestation.conftest import Server
from tests.attestation.test_attested import (
    SLEEP,
    TWO,
    hand_over,
    lend_to_orphan,
    process_of,
    sleep_inheriting,
    take_over,
    wait_for_exec,
)


class ByHand(Executor):
    """Keeps what it is given until the test has it run; counts what it ran."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], object]] = deque()
        self.ran = 0

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        self.waiting.append(lambda: work(*args, **named))
        return Future()

    def run_all(self) -> None:
        while self.waiting:
            self.waiting.popleft()()
            self.ran += 1


@pytest.fixture
def by_hand() -> ByHand:
    return ByHand()


def calling(server: Server, count: int) -> Callable[[socket.socket], None]:
    def call(line: socket.socket) -> None:
        held = [server.connect() for _ in range(count)]
        idle(line)
        del held

    return call


def accepted(server: Server, count: int) -> list[socket.socket]:
    return [server.accept() for _ in range(count)]


def arrive(waiting: Arrivals, sock: socket.socket) -> Future[Attested]:
    return waiting.attest(sock.getpeername(), sock.getsockname())


def pids_of(answers: list[Future[Attested]], open_things: ExitStack) -> list[int]:
    callers = [answer.result(PATIENCE) for answer in answers]
    for caller in callers:
        open_things.callback(caller.close)
        caller.still()
    return [process_of(caller)[0] for caller in callers]


def end_of(sock: socket.socket) -> CallersEnd:
    return CallersEnd.find(sock.getpeername(), sock.getsockname())


def test_one_pass_answers_a_crowd_and_whoever_stands_behind_it(
    server: Server, by_hand: ByHand, open_things: ExitStack
) -> None:
    waiting = Arrivals(by_hand)
    with forked(calling(server, 50)) as crowd:
        assert crowd.hear() == "ready"
        answers = [arrive(waiting, sock) for sock in accepted(server, 50)]
        with forked(calling(server, 1)) as one:
            assert one.hear() == "ready"
            answers.append(arrive(waiting, server.accept()))
            by_hand.run_all()
            assert by_hand.ran == 1
            assert pids_of(answers, open_things) == [crowd.pid] * 50 + [one.pid]


@needs_root
def test_a_crowd_that_fills_more_than_one_pass_delays_another_uid_by_one_pass_only(
    server: Server, by_hand: ByHand, open_things: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call_as_nobody(line: socket.socket) -> None:
        become_nobody()
        calling(server, 1)(line)

    monkeypatch.setattr(arrivals, "MAX_SORTED", 8)
    waiting = Arrivals(by_hand)
    with forked(calling(server, 12)) as crowd:
        assert crowd.hear() == "ready"
        answers = [arrive(waiting, sock) for sock in accepted(server, 12)]
        with forked(call_as_nobody) as one:
            assert one.hear() == "ready"
            answers.append(arrive(waiting, server.accept()))
            by_hand.run_all()
            assert by_hand.ran == 3  # eight of the crowd; its other four; the other uid's one, in either order
            assert pids_of(answers, open_things) == [crowd.pid] * 12 + [one.pid]


def test_who_arrives_during_a_pass_is_answered_by_the_next(server: Server, open_things: ExitStack) -> None:
    with forked(calling(server, 60)) as one, forked(calling(server, 60)) as two, ThreadPoolExecutor(2) as threads:
        waiting = Arrivals(threads)
        assert one.hear() == two.hear() == "ready"
        pids = pids_of([arrive(waiting, sock) for sock in accepted(server, 120)], open_things)
        assert sorted(pids) == sorted([one.pid, two.pid] * 60)


def test_what_was_cancelled_or_is_gone_holds_nobody_up(
    server: Server, by_hand: ByHand, open_things: ExitStack
) -> None:
    waiting = Arrivals(by_hand)
    clients = [server.connect() for _ in range(3)]
    answers = [arrive(waiting, sock) for sock in accepted(server, 3)]
    assert answers[0].cancel()
    clients[1].close()
    by_hand.run_all()
    with pytest.raises(AttestationError):
        answers[1].result(0)
    assert pids_of(answers[2:], open_things) == [os.getpid()]


def test_a_pass_that_fails_tells_all_that_wait(
    server: Server, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "MAX_DESCRIPTORS_INLINE", 0)
    waiting = Arrivals(by_hand)
    clients = [server.connect() for _ in range(3)]
    answers = [arrive(waiting, sock) for sock in accepted(server, len(clients))]
    by_hand.run_all()
    for answer in answers:
        with pytest.raises(AttestationError, match="too many open files"):
            answer.result(0)


def test_a_connection_that_two_hold_is_refused_and_its_neighbours_are_not(
    server: Server, open_things: ExitStack
) -> None:
    def call_and_lend_one(line: socket.socket) -> None:
        mine, shared = server.connect(), server.connect()
        trusted = os.fork()
        if trusted == 0:
            sleep_inheriting(shared)
        wait_for_exec(trusted)
        idle(line)
        mine.close()

    with forked(call_and_lend_one) as child:
        assert child.hear() == "ready"
        mine, shared = (end_of(sock) for sock in accepted(server, 2))
        answers = dict(attest_together(mine.facts.uid, [mine, shared], Memory()))
        assert isinstance(answers[shared], AttestationError)
        assert TWO in str(answers[shared])
        caller = answers[mine]
        assert isinstance(caller, Attested)
        open_things.callback(caller.close)
        assert process_of(caller)[0] == child.pid
        assert caller.finish_walk().pids == (child.pid,)


def test_each_connection_of_a_pass_has_a_handle_of_its_own(server: Server) -> None:
    clients = [server.connect() for _ in range(2)]
    ends = [end_of(sock) for sock in accepted(server, len(clients))]
    one, other = (caller for _, caller in attest_together(os.geteuid(), ends, Memory()))
    assert isinstance(one, Attested)
    assert isinstance(other, Attested)
    one.close()
    with other:
        other.still()
        with pytest.raises(AttestationError, match="closed"):
            one.still()


@needs_root
def test_kin_that_cannot_be_read_make_nobody_elses_connection_known_by_uid(server: Server) -> None:
    """The first connection's holder has a parent of another uid; nobody of its own uid holds the second one."""

    def call_and_pass_on(line: socket.socket) -> None:
        become_nobody()
        kept, passed = server.connect(), server.connect()
        hand_over(line, passed)
        passed.close()
        idle(line)
        kept.close()

    def guard(line: socket.socket) -> None:
        become_nobody()
        passed.close()
        answers = dict(attest_together(NOBODY, [first, second], Memory()))
        line.send(f"{type(answers[first]).__name__}: {answers[second]}".encode())

    with forked(call_and_pass_on) as child, take_over(child.line) as passed:
        assert child.hear() == "ready"
        first, second = (end_of(sock) for sock in accepted(server, 2))
        with forked(guard) as gateway:
            said = gateway.hear()
    assert said.startswith(f"Attested: no process of uid {NOBODY} holds the connection")


def test_a_recent_caller_is_found_without_listing_the_machines_processes(
    server: Server, open_things: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server.connect()
    end, memory = end_of(server.accept()), Memory()
    memory.recent.called(os.geteuid(), os.getpid())
    monkeypatch.setattr(holders, "MAX_PROCESSES", 0)
    [(_, caller)] = attest_together(os.geteuid(), [end], memory)
    assert isinstance(caller, Attested)
    open_things.callback(caller.close)
    [(_, refusal)] = attest_together(os.geteuid(), [end], Memory())
    assert "more than 0 processes" in str(refusal)
    client.close()


def test_a_caller_that_execs_between_two_connections_is_known_by_what_it_is_then(
    server: Server, open_things: ExitStack
) -> None:
    def call_then_exec(line: socket.socket) -> None:
        server.connect()
        idle(line)
        shared = server.connect()
        line.send(b"again")
        line.recv(100)
        sleep_inheriting(shared)

    memory = Memory()
    with forked(call_then_exec) as child:
        assert child.hear() == "ready"
        one = end_of(server.accept())
        [(_, before)] = attest_together(os.geteuid(), [one], memory)
        child.say()
        assert child.hear() == "again"
        two = end_of(server.accept())
        child.say()
        wait_for_exec(child.pid)
        [(_, after)] = attest_together(os.geteuid(), [two], memory)
        os.kill(child.pid, signal.SIGKILL)
    for caller in (before, after):
        assert isinstance(caller, Attested)
        open_things.callback(caller.close)
    assert isinstance(after, Attested)
    assert process_of(after) == (child.pid, SLEEP)
    with pytest.raises(AttestationError):
        after.still()


def test_a_child_about_to_exec_does_not_stand_for_its_parent(server: Server, open_things: ExitStack) -> None:
    """Not dumpable for a moment as it is, it must not be asked who it is: the longest-lived holder is."""

    def call_and_fork(line: socket.socket) -> None:
        client = server.connect()
        if os.fork() == 0:
            set_dumpable(False)
            idle(line)
            os._exit(0)
        signal.pause()
        client.close()

    with forked(call_and_fork) as parent:
        assert parent.hear() == "ready"
        caller = server.attest()
        open_things.callback(caller.close)
        assert process_of(caller)[0] == parent.pid


def test_one_walk_sees_all_callers_that_wait_each_by_its_own_facts(
    server: Server, by_hand: ByHand, open_things: ExitStack
) -> None:
    def call_and_lend_one(line: socket.socket) -> None:
        lend_to_orphan(server, line)
        mine = server.connect()
        idle(line)
        mine.close()

    walks = Walks(by_hand)
    with forked(call_and_lend_one) as child:
        orphan = int(child.hear())
        assert child.hear() == "ready"
        lent, alone = (server.attest(sock) for sock in accepted(server, 2))
        client = server.connect()
        gone = server.attest()
        given_up = attest_pid(os.getpid())
        open_things.callback(given_up.close)
        answers = [walks.finish(caller) for caller in (lent, alone, gone, given_up)]
        answers[3].cancel()
        client.close()
        by_hand.run_all()
        assert by_hand.ran == 1
        os.kill(orphan, signal.SIGKILL)
        with pytest.raises(AttestationError, match=TWO):
            answers[0].result(0)
        assert answers[1].result(0).pids == (child.pid,)
        with pytest.raises(AttestationError, match="passed its connection on"):
            answers[2].result(0)
        assert [caller.exhaustive for caller in (lent, alone, gone, given_up)] == [False, True, False, False]


def test_who_comes_during_a_walk_waits_for_the_next_one(server: Server) -> None:
    clients = [server.connect() for _ in range(12)]
    callers = [server.attest(sock) for sock in accepted(server, len(clients))]
    with ThreadPoolExecutor(2) as threads:
        walks = Walks(threads)
        answers = [walks.finish(caller) for caller in callers]
        assert {answer.result(PATIENCE).pids for answer in answers} == {(os.getpid(),)}
    assert all(caller.exhaustive for caller in callers)
