"""The attestor: what it says of other users' processes, to whom, and all it can't do."""

import ast
import ctypes
import os
import pty
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import remit
from remit import attestor_line as line_format
from remit.attestor_line import Ask
from remit.control.attestor import PROGRAM, Attestor, start_attestor
from remit.errors import AttestationError
from remit.identity.attestation import EXECUTABLES, ReplacedError, attest_pid, holders, observe
from remit.identity.attestation.asking import GoneError, Lines
from remit.identity.attestation.descriptors import Budget
from remit.identity.attestation.direct import Direct
from remit.identity.attestation.eyes import look_through
from remit.identity.attestation.through import MemoryWatch, ThroughAttestor
from remit.sandbox import capabilities
from remit.sandbox.attestor import FILTER
from tests.attestation.children import NOBODY, PATIENCE, Child, forked, idle, needs_root, set_dumpable

BOTH = frozenset({capabilities.CAP_SYS_PTRACE, capabilities.CAP_DAC_READ_SEARCH})
SLEEP = "/bin/sleep"
TIOCGPTN = 0x80045430  # asm-generic/ioctls.h: the number of the terminal that a master is of
_SOURCE = str(Path(remit.__file__).parents[1])
_CODE = f"import sys; sys.path.insert(0, {_SOURCE!r}); from remit.sandbox.attestor import main; main()"
ANYBODYS_PYTHON = ("/usr/bin/python3", "-I", "-c", _CODE)  # this test's own may lie in a private home

pytestmark = needs_root


@pytest.fixture
def attestor() -> Iterator[Attestor]:
    """Started by root; this process looks through it until the test ends."""
    started = start_attestor()
    try:
        yield started
    finally:
        look_through(Direct())
        started.close()


@contextmanager
def as_remit(
    body: Callable[[Attestor], object], caps: frozenset[int] = BOTH, program: Sequence[str] = PROGRAM
) -> Iterator[Child]:
    """Run `body` as an account without any capability, whose attestor was given `caps`. It says `fine` at its end."""

    def be(line: socket.socket) -> None:
        capabilities.keep_through_setuid()
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        capabilities.keep(caps)
        capabilities.ambient(caps)
        started = start_attestor(program)
        capabilities.drop_all()
        body(started)
        line.send(b"fine")

    with forked(be) as child:
        yield child


def not_dumpable(line: socket.socket) -> None:
    set_dumpable(False)
    idle(line)


@contextmanager
def running(*command: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE) as process:
        try:
            until(lambda: os.readlink(f"/proc/{process.pid}/exe") == os.path.realpath(command[0]))
            yield process
        finally:
            process.kill()


def become_another(line: socket.socket) -> None:
    idle(line)
    os.execv(SLEEP, [SLEEP, "60"])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def through(attestor: Attestor) -> ThroughAttestor:
    return ThroughAttestor(Lines(attestor.lines()))


def test_each_fact_is_what_root_sees_itself(attestor: Attestor, tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("import sys; sys.stdin.read()")
    (tmp_path / "link.py").symlink_to("../" + tmp_path.name + "/tool.py")
    (tmp_path / "copy").write_bytes(Path(SLEEP).read_bytes())
    (tmp_path / "copy").chmod(0o755)
    own, theirs = Direct(), through(attestor)
    with (
        running(sys.executable, "link.py", cwd=tmp_path) as script,
        running(str(tmp_path / "copy"), "60") as deleted,
        socket.socket() as one,
        socket.socket() as other,
    ):
        (tmp_path / "copy").unlink()
        for pid in (os.getpid(), script.pid, deleted.pid):
            assert theirs.file(pid) == own.file(pid)
            assert theirs.program(pid, EXECUTABLES) == own.program(pid, EXECUTABLES)
            assert theirs.program(pid, None) == own.program(pid, None)  # not hashed where nobody asks for it
        assert theirs.program(deleted.pid, None).deleted
        for path in (b"link.py", bytes(tmp_path / "tool.py"), b".././" + tmp_path.name.encode() + b"/link.py"):
            mine, told = own.script(script.pid, path, EXECUTABLES), theirs.script(script.pid, path, EXECUTABLES)
            assert (told.path, told.sha256, told.file) == (mine.path, mine.sha256, mine.file)
        links = frozenset(f"socket:[{os.fstat(each.fileno()).st_ino}]" for each in (one, other)) | {"socket:[1]"}
        for every in (True, False):
            seen = dict(theirs.tables(holders.processes(), links, Budget(1 << 20), every_thread=every))
            assert seen[os.getpid()] == links - {"socket:[1]"}
            assert seen[script.pid] == frozenset()


def test_who_can_type_into_a_terminal_is_told_whatever_the_device_is_called(
    attestor: Attestor, tmp_path: Path
) -> None:
    (tmp_path / "other").touch()
    hold = (
        "import fcntl, os, sys\n"
        "master = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n"
        f"print(int.from_bytes(fcntl.ioctl(master, {TIOCGPTN}, bytes(4)), 'little'), flush=True)\n"
        "sys.stdin.read()\n"
    )
    under_another_name = (
        f'mount --bind /dev/pts/ptmx {tmp_path}/other && exec {sys.executable} -c "$0" {tmp_path}/other'
    )
    with (
        subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", under_another_name, hold],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child,
        forked(idle) as other,
    ):
        assert child.stdout is not None
        index = int(child.stdout.readline())
        assert other.hear() == "ready"
        ours, theirs = pty.openpty()
        own = int(os.ttyname(theirs).rpartition("/")[2])
        for eyes in (Direct(), through(attestor)):
            look_through(eyes)
            found = holders.masters(index)
            assert child.pid in found.pids
            assert not {other.pid, os.getpid()} & set(found.pids)
            assert os.getpid() in holders.masters(own).pids
        os.close(ours)
        assert os.getpid() not in holders.masters(own).pids
        os.close(theirs)
        child.kill()


def test_another_users_process_is_known_through_it_and_not_without(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    tool = tmp_path / "tool.py"
    tool.write_text(
        "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print('set', flush=True); sys.stdin.read()"
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as held,
        subprocess.Popen(
            [sys.executable, tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[held.fileno()]
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"set\n"
        inode = os.fstat(held.fileno()).st_ino
        exe, sha256 = os.path.realpath(sys.executable), EXECUTABLES.of(tool)
        own = EXECUTABLES.of(sys.executable)

        def with_it(attestor: Attestor) -> None:
            seen = observe(process.pid, digests=EXECUTABLES)
            assert (seen.exe, seen.exe_sha256) == (exe, own)
            assert seen.script is not None
            assert (seen.script.path, seen.script.sha256) == (str(tool), sha256)
            assert holders.holds(process.pid, inode)
            assert process.pid in holders.exhaustive(inode).pids
            with attest_pid(process.pid) as caller:
                caller.still()
            attestor.process.kill()
            attestor.process.wait()
            seen = observe(process.pid, digests=EXECUTABLES)
            assert (seen.exe, seen.exe_sha256, seen.script) == (None, None, None)
            with pytest.raises(PermissionError):
                holders.holds(process.pid, inode)

        with as_remit(with_it) as gateway:
            assert gateway.hear() == "fine"
        process.kill()


def test_a_script_in_a_private_home_needs_the_second_capability(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "tool.py").write_text("import sys; sys.stdin.read()")
    with running("/usr/bin/python3", str(tmp_path / "tool.py")) as process:

        def look(_: Attestor) -> None:
            seen = observe(process.pid, digests=EXECUTABLES)
            assert seen.exe_sha256 is not None
            assert seen.script is not None
            assert seen.script.sha256 is None
            assert seen.script.path is None

        with as_remit(look, frozenset({capabilities.CAP_SYS_PTRACE}), ANYBODYS_PYTHON) as gateway:
            assert gateway.hear() == "fine"


def test_a_watch_notices_an_exec_at_once_and_asks_nobody(attestor: Attestor) -> None:
    with forked(become_another) as child:
        assert child.hear() == "ready"
        with attest_pid(child.pid) as caller:
            attestor.process.kill()  # so no answer can come from it
            attestor.process.wait()
            caller.still()
            child.say()
            until(lambda: os.readlink(f"/proc/{child.pid}/exe") == os.path.realpath(SLEEP))
            with pytest.raises(AttestationError, match="changed its executable"):
                caller.still()


def test_a_watch_notices_a_replaced_file_and_an_exit(attestor: Attestor, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    shutil.copy(SLEEP, tool)
    with running(str(tool), "60") as process, attest_pid(process.pid) as caller:
        caller.still()
        shutil.copy(SLEEP, tmp_path / "new")
        (tmp_path / "new").replace(tool)
        with pytest.raises(ReplacedError):
            caller.still()
        process.kill()
        process.wait()
        with pytest.raises(AttestationError):
            caller.still()
    assert attestor.process.poll() is None


def test_handles_are_shared_and_given_back(attestor: Attestor) -> None:
    with forked(idle) as child:
        assert child.hear() == "ready"
        before = len(os.listdir("/proc/self/fd"))
        callers = [attest_pid(child.pid) for _ in range(10)]
        assert len(os.listdir("/proc/self/fd")) == before + 10 + 2  # a pidfd each, and one pair
        for caller in callers:
            caller.close()
        assert len(os.listdir("/proc/self/fd")) == before
    assert attestor.process.poll() is None


def test_where_a_kernel_has_no_page_maps_the_memory_map_will_do() -> None:
    with forked(become_another) as child:
        assert child.hear() == "ready"
        watch = MemoryWatch(
            os.open(f"/proc/{child.pid}/exe", os.O_PATH), os.open(f"/proc/{child.pid}/maps", os.O_RDONLY)
        )
        assert watch.file() == Direct().file(child.pid)
        child.say()
        until(lambda: os.readlink(f"/proc/{child.pid}/exe") == os.path.realpath(SLEEP))
        assert watch.file() == (None, None)


def test_it_holds_two_capabilities_and_ends_when_its_door_is_closed(attestor: Attestor) -> None:
    lines = Lines(attestor.lines(1))
    lines.ask(Ask.FILE, os.getpid())  # it is up
    status = Path(f"/proc/{attestor.process.pid}/status").read_text()
    facts = dict(row.split(":\t", 1) for row in status.splitlines())
    mask = f"{sum(1 << one for one in BOTH):016x}"
    assert [facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [
        "0" * 16,
        *[mask] * 3,
        "0" * 16,
    ]
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    attestor.door.close()
    assert attestor.process.wait(PATIENCE) == 0
    with pytest.raises(GoneError):
        lines.ask(Ask.FILE, os.getpid())


@pytest.mark.parametrize(
    "garbage",
    [
        b"x",
        line_format.QUESTION.pack(1, 1, 99),
        line_format.QUESTION.pack(1, 1, Ask.HELD) + b"\xff" * 30,
        b"\0" * 60000,
    ],
    ids=["short", "no such question", "more than there is", "long"],
)
def test_garbage_closes_its_line_and_no_other(attestor: Attestor, garbage: bytes) -> None:
    bad, good = attestor.lines(2)
    with bad, good:
        bad.settimeout(PATIENCE)
        bad.send(garbage)
        assert bad.recv(100) == b""
        assert Lines([good]).ask(Ask.FILE, os.getpid())[0] == line_format.FILE.pack(*key_of(os.getpid()))


def key_of(pid: int) -> line_format.Key:
    node, stamp = Direct().file(pid)
    assert node is not None
    assert stamp is not None
    return *node, *stamp


@pytest.mark.parametrize("pid", [0, -1, 1 << 30])
def test_who_is_not_there_is_unknown(attestor: Attestor, pid: int) -> None:
    eyes = through(attestor)
    assert eyes.program(pid, EXECUTABLES).node is None
    with pytest.raises(FileNotFoundError):
        eyes.script(pid, b"/etc/passwd", EXECUTABLES)
    assert eyes.sockets(pid, frozenset({"socket:[1]"}), Budget(100), every_thread=True) == frozenset()
    assert attestor.process.poll() is None


def test_a_link_never_leads_out_of_the_process_root(attestor: Attestor, tmp_path: Path) -> None:
    """A script is found as the process itself finds it, in a root of its own."""
    (tmp_path / "out").symlink_to("/../../etc/../inside")
    (tmp_path / "inside").write_text("its own")
    (tmp_path / "absolute").symlink_to("/inside")
    (tmp_path / "round").symlink_to("round")

    def locked_in(line: socket.socket) -> None:
        os.chroot(tmp_path)
        os.chdir("/")
        idle(line)

    (tmp_path / "etc").mkdir()
    with forked(locked_in) as child:
        assert child.hear() == "ready"
        for path in (b"/out", b"/absolute", b"/../../inside", b"/etc/../../inside"):
            mine, told = (eyes.script(child.pid, path, EXECUTABLES) for eyes in (Direct(), through(attestor)))
            assert told.sha256 == mine.sha256 == EXECUTABLES.of(tmp_path / "inside")
        with pytest.raises(OSError, match="symbolic links"):
            through(attestor).script(child.pid, b"/round", EXECUTABLES)


def test_many_ask_at_once_and_each_hears_of_whom_it_asked(attestor: Attestor) -> None:
    eyes = through(attestor)
    wrong: list[int] = []
    with forked(idle) as child, running(SLEEP, "60") as other:
        assert child.hear() == "ready"
        truth = {pid: Direct().file(pid) for pid in (child.pid, other.pid, os.getpid())}

        def ask() -> None:
            wrong.extend(pid for _ in range(10) for pid in truth if eyes.file(pid) != truth[pid])

        threads = [threading.Thread(target=ask) for _ in range(33)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_its_filter_leaves_it_nothing_but_to_look(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace() -> None:
        if libc.ptrace(16, os.getppid(), 0, 0) < 0:  # PTRACE_ATTACH
            raise OSError(ctypes.get_errno(), "ptrace")

    attempts: dict[str, Callable[[], object]] = {
        "write": lambda: os.open(file, os.O_WRONLY),
        "truncate": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
        "make": lambda: os.open(tmp_path / "new", os.O_RDONLY | os.O_CREAT),
        "remove": lambda: os.unlink(file),
        "mode": lambda: os.chmod(file, 0o777),
        "execute": lambda: os.execv(SLEEP, [SLEEP, "1"]),
        "connect": lambda: socket.socket(socket.AF_UNIX),
        "fork": os.fork,
        "kill": lambda: os.kill(os.getppid(), 0),
        "trace": ptrace,
        "write to a descriptor": lambda: os.write(1, b""),
        "pidfd": lambda: os.pidfd_open(os.getppid()),
        "capabilities": capabilities.drop_all,
    }

    def confined(line: socket.socket) -> None:
        FILTER.apply()
        done = []
        for name, attempt in attempts.items():
            try:
                attempt()
                done.append(name)
            except PermissionError:
                continue
        line.sendmsg([b"did: " + ", ".join(done).encode()])

    with forked(confined) as child:
        assert child.hear() == "did: "
    assert file.read_text() == "kept"


def test_all_that_is_privileged_can_be_read_at_one_sitting() -> None:
    source = Path(_SOURCE, "remit/sandbox/attestor.py")
    assert len(source.read_text().splitlines()) < 250
    imported = {node.module for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.ImportFrom)}
    assert {one for one in imported if one and one.startswith("remit")} == {
        "remit",  # attestor_line
        "remit.attestor_line",
        "remit.descriptor_tables",
        "remit.sandbox",  # capabilities
        "remit.sandbox.hardening",
        "remit.sandbox.seccomp",
    }
