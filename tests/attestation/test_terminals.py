"""Who has a terminal open, by the attestor's word: whatever its file is called, in whichever thread."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.control.attestor import start_attestor
from remit.identity.attestation.asking import Lines
from remit.identity.attestation.descriptors import Budget
from remit.identity.attestation.direct import Direct
from remit.identity.attestation.eyes import look_through
from remit.identity.attestation.holders import MAX_DESCRIPTORS
from remit.identity.attestation.procfs import read_stat
from remit.identity.attestation.terminals import Opened, opened
from tests.attestation import deaf
from tests.attestation.children import needs_root

pytestmark = needs_root
_WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def lines() -> Iterator[Lines]:
    started = start_attestor()
    asked = Lines(started.lines(1))
    try:
        yield asked
    finally:
        asked.close()
        look_through(Direct())
        started.close()


@pytest.fixture
def terminal() -> Iterator[int]:
    """Its programs' end."""
    master, slave = pty.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def node(terminal: int) -> tuple[int, int]:
    facts = os.fstat(terminal)
    return facts.st_dev, facts.st_ino


def test_who_has_it_open_is_told_and_nobody_else(lines: Lines, terminal: int) -> None:
    other_master, other = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", _WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as without:
        assert without.stdout is not None
        without.stdout.readline()
        found = opened(lines, *node(terminal))
        assert os.getpid() in found.pids
        assert without.pid not in found.pids | found.some
        without.kill()
    os.close(other_master)
    assert opened(lines, *node(other)).pids == {os.getpid()}
    os.close(other)


def test_it_is_told_under_any_name_and_in_a_thread_of_its_own_table(
    lines: Lines, terminal: int, tmp_path: Path
) -> None:
    (tmp_path / "other").touch()
    hidden = (
        "import ctypes, os, sys, threading\n"
        "def apart():\n"
        "    ctypes.CDLL(None).unshare(0x400)\n"  # CLONE_FILES
        "    os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n"
        "    print('ready', flush=True)\n"
        "    threading.Event().wait()\n"
        "threading.Thread(target=apart, daemon=True).start()\n"
        "sys.stdin.read()\n"
    )
    under_another_name = (
        f'mount --bind {os.ttyname(terminal)} {tmp_path}/other && exec {sys.executable} -c "$0" {tmp_path}/other'
    )
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", under_another_name, hidden], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert child.pid in opened(lines, *node(terminal)).pids
        child.kill()


def test_a_terminal_that_was_opened_as_its_own_counts_as_some(lines: Lines, terminal: int) -> None:
    keeps = (
        "import fcntl, os, sys, termios\n"
        "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "kept = os.open('/dev/tty', os.O_RDWR)\n"
        "os.closerange(0, 1)\n"
        "print('ready', flush=True)\n"
        "__import__('time').sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", keeps], stdin=terminal, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        found = opened(lines, *node(terminal))
        assert child.pid in found.some
        assert child.pid not in found.pids
        assert read_stat(child.pid).session == child.pid
        child.kill()


def test_it_may_be_asked_by_several_threads_at_once(lines: Lines, terminal: int) -> None:
    seen: list[bool] = []
    threads = [
        threading.Thread(target=lambda: seen.append(os.getpid() in opened(lines, *node(terminal)).pids))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == [True] * 3


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="takes FUSE")
@pytest.mark.parametrize("name", ["tty", "any"])
def test_a_file_system_that_never_answers_keeps_nobody_waiting(
    lines: Lines, terminal: int, tmp_path: Path, name: str
) -> None:
    """One that is called as a terminal may be, or has the terminal's inode number."""
    device, inode = node(terminal)
    with subprocess.Popen(
        [sys.executable, deaf.__file__, tmp_path, name, str(inode)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as held:
        assert held.stdout is not None
        pid = int(held.stdout.readline())
        seen: list[Opened] = []
        masters_of: list[tuple[int, bool | None]] = []

        def look() -> None:
            seen.append(opened(lines, device, inode))
            masters_of.extend(Direct().masters([pid], 0, Budget(MAX_DESCRIPTORS)))

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        looking.join(20)
        try:
            assert masters_of == [(pid, False)], "who looks waits for that file system"
            assert os.getpid() in seen[0].pids
            assert pid not in seen[0].pids | seen[0].some | seen[0].hidden
        finally:
            held.kill()
