"""Callers that see another file system or other process numbers than this process does."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remit.errors import AttestationError
from remit.identity.attestation import Digests, attest_unix, observe
from remit.identity.selectors import selectors_of
from tests.attestation.children import Child, forked, idle
from tests.attestation.conftest import Server
from tests.attestation.test_procfs import sha256

SLEEP = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
CAT = os.path.realpath(shutil.which("cat") or "/bin/cat")
_NEW_MOUNTS, _NEW_PIDS = 0x00020000, 0x20000000  # CLONE_NEWNS, CLONE_NEWPID
_PRIVATE, _BIND = 1 << 18 | 1 << 14, 1 << 12  # MS_PRIVATE | MS_REC, MS_BIND
_LIBC = ctypes.CDLL(None, use_errno=True)


def _may_unshare() -> bool:
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not _may_unshare(),
    reason="NO NAMESPACES: this user may not make any, so that no process in another one can be attested",
)


def unshare(flags: int) -> None:
    assert _LIBC.unshare(flags) == 0, os.strerror(ctypes.get_errno())


def lay_over(what: str | Path, over: str | Path) -> None:
    """Mount the file `what` over the file `over`, for this process's mount namespace only."""
    unshare(_NEW_MOUNTS)
    assert _LIBC.mount(b"none", b"/", None, _PRIVATE, None) == 0
    assert _LIBC.mount(os.fsencode(what), os.fsencode(over), None, _BIND, None) == 0


@contextmanager
def executing(*words: str | Path, laid_over: tuple[str | Path, str | Path] | None = None) -> Iterator[Child]:
    """A process that sleeps, having exec'ed `words` in a mount namespace of its own where one file is another."""
    reading, writing = os.pipe()  # closed by the exec

    def become(line: socket.socket) -> None:
        os.close(reading)
        unshare(_NEW_MOUNTS)
        if laid_over is not None:
            lay_over(*laid_over)
        os.execv(words[0], [os.fspath(word) for word in words])

    with forked(become) as child:
        os.close(writing)
        said = os.read(reading, 1)
        os.close(reading)
        assert said == b""
        yield child


@needs_namespaces
def test_the_same_file_seen_from_a_mount_namespace_of_its_own_keeps_its_path() -> None:
    """So do services that systemd gives a private `/tmp`."""
    with executing(SLEEP, "30") as child:
        process = observe(child.pid, digests=Digests())
    assert (process.exe, process.exe_sha256) == (SLEEP, sha256(SLEEP))
    assert f"unix:path:{SLEEP}" in selectors_of(process)


@needs_namespaces
def test_another_file_at_a_trusted_path_is_not_taken_for_it(tmp_path: Path) -> None:
    trusted = shutil.copy(CAT, tmp_path / "trusted")
    evil = shutil.copy(SLEEP, tmp_path / "evil")
    with executing(trusted, "30", laid_over=(evil, trusted)) as child:
        process = observe(child.pid, digests=Digests())
    assert process.exe is not None
    assert process.exe.startswith("mnt:[")
    assert process.exe_sha256 == sha256(SLEEP)  # of what runs, not of what the path names here
    assert f"unix:path:{trusted}" not in selectors_of(process)


@needs_namespaces
def test_a_script_is_read_where_its_process_sees_it(tmp_path: Path) -> None:
    trusted, evil = tmp_path / "trusted.py", tmp_path / "evil.py"
    trusted.write_text("the_good_one = 1")
    evil.write_text("import time; time.sleep(30)")
    with executing(sys.executable, trusted, laid_over=(evil, trusted)) as child:
        process = observe(child.pid, digests=Digests())
    assert process.script is not None
    assert process.script.sha256 == sha256(evil)
    assert process.script.path is not None
    assert process.script.path.startswith("mnt:[")


@needs_namespaces
def test_a_link_leads_a_script_where_it_leads_its_process(tmp_path: Path) -> None:
    trusted, evil, link = tmp_path / "trusted.py", tmp_path / "evil.py", tmp_path / "link.py"
    trusted.write_text("the_good_one = 1")
    evil.write_text("import time; time.sleep(30)")
    link.symlink_to(trusted)  # absolute: followed from here it would lead to the trusted one
    with executing(sys.executable, link, laid_over=(evil, trusted)) as child:
        for _ in range(2):
            process = observe(child.pid, digests=Digests())
            assert process.script is not None
            assert process.script.sha256 == sha256(evil)


@needs_namespaces
def test_a_process_in_a_pid_namespace_below_is_known_by_its_number_here() -> None:
    def descend(line: socket.socket) -> None:
        unshare(_NEW_PIDS)
        if os.fork() == 0:
            signal.pause()
        idle(line)

    with forked(descend) as child:
        assert child.hear() == "ready"
        below = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()[0])
        process = observe(below, digests=Digests())
        assert process.nested
        assert process.parents[0].pid == child.pid
        assert not observe(child.pid, digests=Digests()).nested


@needs_namespaces
def test_a_caller_that_has_no_number_here_is_refused(unix_server: Server) -> None:
    """The server is in a pid namespace below its caller's: SO_PEERCRED says 0."""

    def serve_below(line: socket.socket) -> None:
        unshare(_NEW_PIDS)
        if (server := os.fork()) == 0:
            line.send(b"ready")
            try:
                attest_unix(unix_server.accept())
            except AttestationError as error:
                line.send(f"{error} | {error.hint}".encode())
            os._exit(0)
        os.waitpid(server, 0)

    with forked(serve_below) as child:
        assert child.hear() == "ready"
        unix_server.connect()
        assert "another pid namespace" in child.hear()
