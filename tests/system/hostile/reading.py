"""Tries to read what must not be read: keys, state, memory, environment, dumps."""

import ctypes
import os
import resource
import sqlite3
from pathlib import Path

from tests.system.hostile.kit import Target, attempt, guards, said_by

PTRACE_ATTACH, PTRACE_DETACH = 16, 17


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


@attempt("read-keys", "read the keys of the log, the digests and the authority")
def read_keys(target: Target) -> str:
    return f"read {sum(len(key.read_bytes()) for key in target.keys)} bytes of keys"


@attempt("read-database", "open the state database and read what is in it")
def read_database(target: Target) -> str:
    with sqlite3.connect(f"file:{target.state}/state.db?mode=ro", uri=True) as state:
        tables = [row[0] for row in state.execute("select name from sqlite_master where type = 'table'")]
    return f"read the names of {len(tables)} tables" if tables else ""


@attempt("read-log", "read the log of everybody's calls")
def read_log(target: Target) -> str:
    logs = [log.read_bytes() for log in (target.state / "audit").glob("*.log")]
    return f"read {len(logs)} shards" if any(logs) else ""


@attempt("read-memory", "read a guard's memory through /proc/PID/mem")
def read_memory(target: Target) -> str:
    for pid in guards(target):
        start = Path(f"/proc/{pid}/maps").read_text(encoding="ascii").partition("-")[0]
        with Path(f"/proc/{pid}/mem").open("rb") as memory:
            memory.seek(int(start, 16))
            if memory.read(64):
                return "read memory of a guard"
    return ""


@attempt("process-vm-readv", "read a guard's memory through process_vm_readv")
def vm_readv(target: Target) -> str:
    libc, kept = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(64)
    here, there = _Span(ctypes.addressof(kept), 64), _Span(0x400000, 64)
    for pid in guards(target):
        if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
            return "read memory of a guard"
        if ctypes.get_errno() == 14:  # EFAULT: allowed, at a wrong address
            return "the kernel lets it read memory of a guard"
    return ""


@attempt("read-environ", "read a guard's environment")
def read_environ(target: Target) -> str:
    return next(("read the environment" for pid in guards(target) if Path(f"/proc/{pid}/environ").read_bytes()), "")


@attempt("take-descriptors", "take open files from a guard with pidfd_getfd")
def take_descriptors(target: Target) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in guards(target):
        guard = os.pidfd_open(pid)
        if any(libc.syscall(438, guard, number, 0) >= 0 for number in range(3, 20)):
            return "took a descriptor out of a guard"
    return ""


@attempt("ptrace", "attach to a guard with ptrace")
def ptrace(target: Target) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in guards(target):
        if libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
            os.waitpid(pid, 0)
            libc.ptrace(PTRACE_DETACH, pid, None, None)
            return "attached to a guard"
    return ""


@attempt("core-dump", "raise a guard's core limit so that it dumps its memory")
def core_dump(target: Target) -> str:
    for pid in guards(target):
        resource.prlimit(pid, resource.RLIMIT_CORE, (1 << 20, 1 << 20))
        if resource.prlimit(pid, resource.RLIMIT_CORE)[0]:
            return "a guard may dump core now"
    return ""


@attempt("debugger", "attach a debugger and dump a guard's memory with gcore")
def debugger(target: Target) -> str:
    out = f"/tmp/core-{os.getpid()}"
    for pid in guards(target):
        said_by("gdb", "-p", str(pid), "-batch", "-ex", f"gcore {out}")
        if Path(out).exists():
            Path(out).unlink()
            return "dumped a guard's memory"
    return ""
