"""What /proc says of a process, whatever it calls itself and wherever its executable went."""

import hashlib
import os
import pty
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import AttestationError
from remit.identity.attestation import Digests, ReplacedError, attest_pid, observe, procfs
from remit.identity.person import terminal_proof
from tests.attestation.children import NOBODY, become_nobody, forked, idle, needs_root, set_name

SLEEP = shutil.which("sleep") or "/bin/sleep"
NAMES = st.binary(min_size=0, max_size=64).filter(lambda name: b"\0" not in name)
NUMBER = st.integers(0, 2**31 - 1)


def sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@given(NAMES, st.tuples(NUMBER, NUMBER, NUMBER, st.integers(-1, 2**31 - 1), st.integers(0, 2**64 - 1)))
def test_stat_is_parsed_whatever_the_process_calls_itself(name: bytes, fields: tuple[int, ...]) -> None:
    pid, parent, terminal, foreground, start = fields
    between = b" 0" * 13
    line = b"%d (%b) S %d 7 7 %d %d%b %d 0 0\n" % (pid, name, parent, terminal, foreground, between, start)
    stat = procfs.parse_stat(line)
    assert (stat.pid, stat.parent, stat.terminal, stat.foreground_group) == (pid, parent, terminal, foreground)
    assert (stat.start, stat.group, stat.state) == (start, 7, "S")
    assert stat.name == procfs.printable(name)
    assert stat.name.isprintable()


@given(st.binary(max_size=300))
def test_any_other_bytes_are_parsed_or_refused(text: bytes) -> None:
    for parse in (procfs.parse_stat, procfs.parse_effective_ids):
        try:
            parse(text)
        except AttestationError:
            continue


@pytest.mark.parametrize("text", [b"", b"1 (x) S 1", b"x (x) S" + b" 1" * 30, b"1 x S" + b" 1" * 30])
def test_a_line_that_is_not_a_stat_is_refused(text: bytes) -> None:
    with pytest.raises(AttestationError):
        procfs.parse_stat(text)


def test_effective_ids_are_the_second_column() -> None:
    text = b"Name:\tx\\nUid:\t0 0 0 0\nUmask:\t0022\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\n"
    assert procfs.parse_effective_ids(text) == (1001, 6)


@pytest.mark.parametrize(("text", "uid"), [(b"4294967295", None), (b"1000\n", 1000), (b"0", 0), (b"", None)])
def test_an_unset_login_uid_is_unknown(text: bytes, uid: int | None) -> None:
    assert procfs.parse_login_uid(text) == uid


def test_a_process_cannot_choose_its_parent_by_its_name() -> None:
    def misname(line: socket.socket) -> None:
        set_name(b"x) R 1 (\n\x1b[31m")
        idle(line)

    with forked(misname) as child:
        assert child.hear() == "ready"
        process = observe(child.pid, digests=Digests())
    assert process.parents[0].pid == os.getpid()
    assert process.name == "x) R 1 (\\x0a\\x1b[31m"
    assert process.uid == os.geteuid()


def test_sleep_is_observed_as_what_it_is() -> None:
    with subprocess.Popen([SLEEP, "30"]) as sleep:
        process = observe(sleep.pid, digests=Digests())
        sleep.kill()
    assert process.exe == os.path.realpath(SLEEP)
    assert process.exe_sha256 == sha256(SLEEP)
    assert process.exe_node == (os.stat(SLEEP).st_dev, os.stat(SLEEP).st_ino)
    assert process.exe_deleted is False
    assert (process.uid, process.gid) == (os.geteuid(), os.getegid())
    assert process.parents[0].pid == os.getpid()


def test_a_process_that_is_gone_is_refused() -> None:
    with subprocess.Popen([SLEEP, "0"]) as sleep:
        sleep.wait()
    with pytest.raises(AttestationError, match=str(sleep.pid)):
        observe(sleep.pid, digests=Digests())


@needs_root
def test_a_process_is_seen_by_its_effective_ids() -> None:
    def switch(line: socket.socket) -> None:
        become_nobody()
        idle(line)

    with forked(switch) as child:
        assert child.hear() == "ready"
        process = observe(child.pid, digests=Digests())
    assert (process.uid, process.gid) == (NOBODY, NOBODY)


def test_an_executable_removed_while_it_runs_is_known_and_flagged(tmp_path: Path) -> None:
    tool = shutil.copy(SLEEP, tmp_path / "tool")
    with subprocess.Popen([tool, "30"]) as running, attest_pid(running.pid) as caller:
        caller.still()
        (tmp_path / "tool").unlink()
        process = observe(running.pid, digests=Digests())
        with pytest.raises(ReplacedError):
            caller.still()
        running.kill()
    assert (process.exe, process.exe_deleted) == (str(tool), True)
    assert process.exe_sha256 == sha256(SLEEP)


def test_an_executable_replaced_while_it_runs_keeps_its_own_digest(tmp_path: Path) -> None:
    tool = shutil.copy(SLEEP, tmp_path / "tool")
    with subprocess.Popen([tool, "30"]) as running, attest_pid(running.pid) as caller:
        shutil.copy(shutil.which("cat") or "/bin/cat", tmp_path / "new")
        caller.still()
        (tmp_path / "new").rename(tool)
        process = observe(running.pid, digests=Digests())
        with pytest.raises(ReplacedError):
            caller.still()
        running.kill()
    assert (process.exe, process.exe_deleted) == (str(tool), True)
    assert process.exe_sha256 == sha256(SLEEP) != sha256(tool)


def test_an_executable_whose_name_ends_in_deleted_is_not_taken_as_deleted(tmp_path: Path) -> None:
    tool = shutil.copy(SLEEP, tmp_path / "tool (deleted)")
    with subprocess.Popen([tool, "30"]) as running:
        process = observe(running.pid, digests=Digests())
        running.kill()
    assert (process.exe, process.exe_deleted) == (str(tool), False)


def test_an_executable_whose_path_is_not_utf8_is_known_by_digest_only(tmp_path: Path) -> None:
    tool = os.fsencode(tmp_path) + b"/to\xffol"
    shutil.copy(os.fsencode(SLEEP), tool)
    with subprocess.Popen([tool, b"30"]) as running:
        process = observe(running.pid, digests=Digests())
        running.kill()
    assert (process.exe, process.exe_sha256) == (None, sha256(SLEEP))


def test_the_chain_of_parents_is_bounded() -> None:
    def descend(line: socket.socket, depth: int = 40) -> None:
        if depth == 0:
            line.send(str(len(observe(os.getpid(), digests=Digests()).parents)).encode())
            return
        if (pid := os.fork()) == 0:
            try:
                descend(line, depth - 1)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    with forked(descend) as child:
        assert child.hear() == str(procfs.MAX_ANCESTORS)


def test_a_process_in_the_foreground_of_a_terminal_is_told_from_one_behind() -> None:
    pid, master = pty.fork()
    if pid == 0:
        try:
            here = observe(os.getpid(), digests=Digests())
            os.write(1, f"{terminal_proof(here)} ".encode())
            if (behind := os.fork()) == 0:
                os.setpgid(0, 0)
                there = observe(os.getpid(), digests=Digests())
                os.write(1, f"{there.terminal == here.terminal} {terminal_proof(there)}.".encode())
                os._exit(0)
            os.waitpid(behind, 0)
        finally:
            os._exit(0)
    said = b""
    while not said.endswith(b"."):
        said += os.read(master, 100)
    os.waitpid(pid, 0)
    os.close(master)
    assert said == b"terminal True uid."


def test_a_process_without_a_terminal_proves_its_uid_only() -> None:
    with subprocess.Popen([SLEEP, "30"], start_new_session=True) as running:
        process = observe(running.pid, digests=Digests())
        running.kill()
    assert (process.terminal, process.foreground, terminal_proof(process)) == (None, False, "uid")


def test_a_file_is_hashed_once_until_it_changes_even_with_its_old_time(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    digests = Digests()
    first = digests.of(file)
    assert first == digests.of(file) == sha256(file)
    assert len(digests) == 1
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert digests.of(file) == sha256(file) != first


def test_digests_are_bounded_and_unknown_where_they_cannot_be_had(tmp_path: Path) -> None:
    digests = Digests(capacity=2)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
        assert digests.of(tmp_path / name) == sha256(tmp_path / name)
    assert len(digests) == 2
    assert digests.of(tmp_path / "absent") is None
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 42)
    assert digests.of(tmp_path / "sparse") is None


def test_a_parent_younger_than_its_child_is_another_process_with_its_number() -> None:
    stat = procfs.read_stat(os.getpid())
    assert procfs.ancestors(stat)[0].pid == os.getppid()
    assert procfs.ancestors(replace(stat, start=0)) == ()


def test_groups_and_the_depth_of_a_pid_namespace_are_read_from_the_status() -> None:
    text = b"Name:\tx\\nGroups:\t1\nGroups:\t4 24 27 \nNStgid:\t1\nNSpid:\t5120\t3\nSeccomp:\t0\n"
    assert procfs.parse_groups(text) == (4, 24, 27)
    assert procfs.parse_nested(text)
    assert not procfs.parse_nested(b"Name:\tx\nGroups:\t\nNSpid:\t5120\n")
    assert procfs.parse_groups(b"Name:\tx\nGroups:\t\nNSpid:\t5120\n") == ()
    assert procfs.parse_groups(b"") == ()
