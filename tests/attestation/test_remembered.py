"""What is remembered from one connection to the next helps to find, and never to be taken for another."""

import os
import signal
import socket
import threading
from dataclasses import replace
from itertools import pairwise

from remit.identity import Ancestor
from remit.identity.attestation import EXECUTABLES, procfs
from remit.identity.attestation.kin import descendants, kin, listed_children, parent_table
from remit.identity.attestation.lineage import MAX_AGE, Lineages
from remit.identity.attestation.recent import MAX_LIKELY, Recent
from tests.attestation.children import forked, idle


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_parents_are_read_once_for_the_same_process() -> None:
    lineages, stat = Lineages(FakeClock()), procfs.read_stat(os.getpid())
    first = lineages.parents(stat)
    assert first == procfs.ancestors(stat, EXECUTABLES)
    assert lineages.parents(stat) is first


def test_a_number_given_to_another_process_brings_no_parents_along() -> None:
    lineages, stat = Lineages(FakeClock()), procfs.read_stat(os.getpid())
    forged = replace(stat, parent=0)  # the process that had this number before, and no parents
    assert lineages.parents(forged) == ()
    assert lineages.parents(stat) == procfs.ancestors(stat, EXECUTABLES)
    assert lineages.parents(replace(stat, start=stat.start + 1)) is not lineages.parents(stat)


def test_parents_that_were_read_too_long_ago_are_read_again() -> None:
    clock = FakeClock()
    lineages, stat = Lineages(clock), procfs.read_stat(os.getpid())
    first = lineages.parents(stat)
    clock.now += MAX_AGE
    assert lineages.parents(stat) is first
    clock.now += 0.01
    again = lineages.parents(stat)
    assert again is not first
    assert again == first


def test_a_process_that_lost_its_parent_has_another() -> None:
    def leave_an_orphan(line: socket.socket) -> None:
        if (between := os.fork()) == 0:
            if os.fork() == 0:
                line.send(str(os.getpid()).encode())
                signal.pause()
            signal.pause()
        line.recv(100)
        os.kill(between, signal.SIGKILL)
        os.waitpid(between, 0)
        idle(line)

    lineages = Lineages(FakeClock())
    with forked(leave_an_orphan) as child:
        orphan = int(child.hear())
        before = lineages.parents(procfs.read_stat(orphan))
        assert before[1].pid == child.pid
        child.say()
        assert child.hear() == "ready"
        after = lineages.parents(procfs.read_stat(orphan))
        os.kill(orphan, signal.SIGKILL)
    assert child.pid not in {parent.pid for parent in after}
    assert after != before


def test_lineages_are_bounded() -> None:
    lineages = Lineages(FakeClock(), capacity=2)
    for pid in (1, os.getpid(), os.getppid()):
        lineages.parents(procfs.read_stat(pid))
    assert len(lineages) == 2


def test_recent_callers_are_bounded_and_each_uid_sees_its_own() -> None:
    recent = Recent(capacity=8)
    for pid in range(100, 120):
        recent.called(1000, pid)
    assert len(recent) == 8
    assert recent.likely(1000) == [119, 118, 117, 116][:MAX_LIKELY]
    recent.called(1000, 117)
    recent.called(2000, 7)
    assert recent.likely(1000)[0] == 117
    assert recent.likely(2000) == [7]
    assert recent.likely(3000) == []


def family(line: socket.socket) -> None:
    """A child forked by a thread, and a grandchild."""

    def bear() -> None:
        if os.fork() == 0:
            if os.fork() == 0:
                idle(line)
                os._exit(0)
            signal.pause()

    thread = threading.Thread(target=bear)
    thread.start()
    thread.join()
    signal.pause()


def test_descendants_are_the_same_without_the_kernels_list_of_children() -> None:
    with forked(family) as child:
        assert child.hear() == "ready"
        listed = list(descendants(child.pid, listed_children))
        by_table = list(descendants(child.pid, parent_table().__getitem__))
        chain = [child.pid, *listed]
        assert len(listed) == 2
        assert by_table == listed
        assert all(procfs.read_stat(below).parent == above for above, below in pairwise(chain))


def test_kin_are_ancestors_and_descendants_and_not_init() -> None:
    with forked(family) as child:
        assert child.hear() == "ready"
        for children in (listed_children, parent_table().__getitem__):
            found = kin(child.pid, Lineages(), children)
            assert found[0] == os.getpid()
            assert set(descendants(child.pid, children)) < set(found)
            assert not {1, child.pid} & set(found)


def test_a_process_that_is_gone_has_no_kin() -> None:
    with forked(idle) as child:
        assert child.hear() == "ready"
    assert kin(child.pid, Lineages(), listed_children) == []
    assert isinstance(procfs.ancestors(procfs.read_stat(os.getpid()))[0], Ancestor)
