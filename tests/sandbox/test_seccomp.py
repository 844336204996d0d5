"""System call filters: what the program says for each machine, and what the kernel does to a real child."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from remit.errors import StateError
from remit.sandbox.seccomp import (
    AUDIT_ARCH,
    READ_ONLY,
    RET_ALLOW,
    RET_ERRNO,
    RET_KILL_PROCESS,
    THREADS_ONLY,
    X32_BIT,
    Argument,
    Deny,
    Filter,
)
from remit.sandbox.syscalls import NUMBERS, number
from tests.sandbox.bpf import run

MACHINES = ("x86_64", "aarch64")
EPERM = RET_ERRNO | errno.EPERM
SAMPLE = Filter(
    allow=frozenset({"read", "write"}),
    only={"openat": READ_ONLY, "clone": THREADS_ONLY, "mmap": (Argument(2, 4, 0), Argument(3, 0x20, 0x20))},
)


def _answer(machine: str, name: str, *arguments: int, rules: Filter = SAMPLE) -> int:
    call = number(name, machine)
    assert call is not None
    return run(rules.program(machine), call=call, machine=AUDIT_ARCH[machine], arguments=arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_allowed_passes_and_all_else_does_not(machine: str) -> None:
    assert _answer(machine, "read") == RET_ALLOW
    for name in NUMBERS[machine].keys() - {"read", "write", "openat", "clone", "mmap", "clone3"}:
        assert _answer(machine, name) == EPERM, name
    assert _answer(machine, "clone3") == RET_ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_another_machines_numbers_kill(machine: str) -> None:
    program = SAMPLE.program(machine)
    for arch in (0x40000003, 0x40000028, *(code for name, code in AUDIT_ARCH.items() if name != machine)):
        for call in (0, 1, 63, 64):
            assert run(program, call=call, machine=arch) == RET_KILL_PROCESS


def test_x32_calls_kill() -> None:
    program = SAMPLE.program("x86_64")
    for call in (X32_BIT, X32_BIT | 1, 0xFFFFFFFF):
        assert run(program, call=call, machine=AUDIT_ARCH["x86_64"]) == RET_KILL_PROCESS


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide(machine: str) -> None:
    assert _answer(machine, "openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW) == RET_ALLOW
    for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_TMPFILE):
        assert _answer(machine, "openat", 0, 0, flag) == EPERM
    assert _answer(machine, "clone", 0x10000 | 0x100) == RET_ALLOW
    assert _answer(machine, "clone", signal.SIGCHLD) == EPERM
    assert _answer(machine, "mmap", 0, 4096, 3, 0x22) == RET_ALLOW
    assert _answer(machine, "mmap", 0, 4096, 7, 0x22) == EPERM
    assert _answer(machine, "mmap", 0, 4096, 3, 0x02) == EPERM


def test_the_high_half_of_an_argument_counts() -> None:
    rules = Filter(allow=frozenset(), only={"prctl": (Argument(0, 0xFFFFFFFFFFFFFFFF, 5),)})
    assert _answer("x86_64", "prctl", 5, rules=rules) == RET_ALLOW
    assert _answer("x86_64", "prctl", 5 | 1 << 32, rules=rules) == EPERM


def test_the_numbers_are_those_of_linux() -> None:
    """From linux/arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h."""
    known = {"read": (0, 63), "openat": (257, 56), "execve": (59, 221), "ptrace": (101, 117), "clone3": (435, 435)}
    known |= {
        "socket": (41, 198),
        "seccomp": (317, 277),
        "fstat": (5, 80),
        "newfstatat": (262, 79),
        "bpf": (321, 280),
    }
    for name, both in known.items():
        assert tuple(number(name, machine) for machine in MACHINES) == both
    assert number("fork", "aarch64") is None
    for table in NUMBERS.values():
        assert len(set(table.values())) == len(table)


@pytest.mark.parametrize(
    ("rules", "machine", "says"),
    [
        (Filter(allow=frozenset({"raed"})), "x86_64", "`raed`"),
        (SAMPLE, "riscv64", "`riscv64`"),
        (Filter(allow=frozenset({"clone3"})), "x86_64", "twice"),
        (Filter(allow=frozenset(), only={"openat": ()}), "x86_64", "has none"),
    ],
)
def test_a_filter_that_would_not_say_what_was_meant_is_refused(rules: Filter, machine: str, says: str) -> None:
    with pytest.raises(StateError, match=says):
        rules.program(machine)


CHILD = """
import ctypes, os, socket, sys, threading
from remit.sandbox.seccomp import *
from remit.sandbox.syscalls import NAMES
kept = NAMES - set({denied!r}) - {{"clone3", "openat", "clone"}}
rules = Filter(allow=frozenset(kept), only={{"openat": READ_ONLY, "clone": THREADS_ONLY}}, deny_with=Deny.{deny})
def refused(act):
    try: act()
    except PermissionError: return True
    return False
ready, go, seen = threading.Event(), threading.Event(), []
def other():
    ready.set(); go.wait(); seen.append(refused(socket.socket))
thread = threading.Thread(target=other); thread.start(); ready.wait()
rules.apply()
{then}
"""


def _child(then: str, *denied: str, deny: Deny = Deny.EPERM) -> subprocess.CompletedProcess[str]:
    program = CHILD.format(denied=denied, deny=deny.name, then=then)
    return subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False, timeout=20
    )


def test_every_thread_of_a_real_child_is_under_it() -> None:
    done = _child(
        "go.set(); thread.join()\n"
        "later = []; late = threading.Thread(target=lambda: later.append(refused(socket.socket)))\n"
        "late.start(); late.join()\n"
        "print(seen, later, refused(socket.socket), refused(os.fork), refused(lambda: open('/etc/hostname', 'a')))\n"
        "print(open('/etc/passwd').readline() != '')\n",
        "socket",
        "fork",
        "vfork",
    )
    assert done.stdout == "[True] [True] True True True\nTrue\n", done.stderr


def test_a_forbidden_call_kills_every_thread_if_so_told() -> None:
    done = _child("go.set(); thread.join(); print('alive')", "socket", deny=Deny.KILL_PROCESS)
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, "")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is a table of x86_64")
def test_the_kernel_kills_an_x32_call() -> None:
    done = _child("print(ctypes.CDLL(None).syscall(0x40000000 | 39))")
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, "")


INT_80 = r"""
import mmap
code = mmap.mmap(-1, 4096, prot=7); code.write(b'\xb8\x14\x00\x00\x00\xcd\x80\xc3')  # mov eax, 20; int 0x80; ret
print('calls', flush=True)
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
print('alive')
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="`int 0x80` is an instruction of x86")
def test_the_kernel_kills_a_call_through_the_32_bit_gate() -> None:
    done = _child(INT_80)
    assert done.stdout == "calls\n"
    assert done.returncode in {-signal.SIGSYS, -signal.SIGSEGV}  # the latter where the kernel has no such gate
