"""Tries to read what must not be read: keys, state, memory, environment, dumps."""

import ctypes
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.kit import Claim, Target, attempt, digest, said_by

PTRACE_ATTACH, PTRACE_DETACH, PIDFD_GETFD = 16, 17, 438
FILES = "files of Remit's own uid, closed to everybody else"
TRACING = "another uid's processes, and not dumpable"


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _bytes_of(path: Path) -> Claim:
    """The first of them: what follows may grow meanwhile."""
    with path.open("rb") as file:
        return {"path": str(path), "sha256": digest(file.read(16))}


@attempt("read-log-key", "read the root key of the log", "bytes", FILES)
def read_log_key(target: Target) -> Claim:
    return _bytes_of(target.state / "audit.key")


@attempt("read-digest-key", "read the key of digests", "bytes", FILES)
def read_digest_key(target: Target) -> Claim:
    return _bytes_of(target.state / "digest.key")


@attempt("read-authority", "read the key of the trust domain's authority", "bytes", FILES)
def read_authority(target: Target) -> Claim:
    return _bytes_of(next((target.state / "keys").iterdir()))


@attempt("read-sealed", "read the sealed recovery code, to guess at it", "bytes", FILES)
def read_sealed(target: Target) -> Claim:
    return _bytes_of(target.state / "break-glass" / "sealed.json")


@attempt("read-database", "read the state database", "bytes", FILES)
def read_database(target: Target) -> Claim:
    return _bytes_of(target.state / "state.db")


@attempt("read-log", "read the log of everybody's calls", "bytes", FILES)
def read_log(target: Target) -> Claim:
    return _bytes_of(next((target.state / "audit").glob("*.log")))


@attempt("read-memory", "read a guard's memory through /proc/PID/mem", "memory", TRACING)
def read_memory(target: Target) -> Claim | None:
    pid = target.guards[0]
    start = int(Path(f"/proc/{pid}/maps").read_text(encoding="ascii").partition("-")[0], 16)
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        memory.seek(start)
        return {"pid": pid, "at": start, "hex": memory.read(64).hex()}


@attempt("process-vm-readv", "read a guard's memory through process_vm_readv", "memory", TRACING)
def vm_readv(target: Target) -> Claim | None:
    libc, kept, pid = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(64), target.guards[0]
    start = int(Path(f"/proc/{pid}/maps").read_text(encoding="ascii").partition("-")[0], 16)
    here, there = _Span(ctypes.addressof(kept), 64), _Span(start, 64)
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) != 64:
        raise OSError(ctypes.get_errno(), "process_vm_readv")
    return {"pid": pid, "at": start, "hex": kept.raw.hex()}


@attempt("read-environ", "read a guard's environment", "bytes", TRACING)
def read_environ(target: Target) -> Claim:
    return _bytes_of(Path(f"/proc/{target.guards[0]}/environ"))


@attempt("take-descriptors", "take open files from a guard with pidfd_getfd", "taken", TRACING)
def take_descriptors(target: Target) -> Iterator[Claim]:
    libc, pid = ctypes.CDLL(None, use_errno=True), target.guards[0]
    guard = os.pidfd_open(pid)
    for number in range(3, 20):
        mine = libc.syscall(PIDFD_GETFD, guard, number, 0)
        if mine >= 0:
            yield {"guard": pid, "mine": os.getpid(), "link": str(Path(f"/proc/self/fd/{mine}").readlink())}
            return
    raise OSError(ctypes.get_errno(), "pidfd_getfd")


@attempt("ptrace", "attach to a guard with ptrace", "traced", TRACING)
def ptrace(target: Target) -> Iterator[Claim]:
    libc, pid = ctypes.CDLL(None, use_errno=True), target.guards[0]
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(pid, 0)
    yield {"guard": pid, "mine": os.getpid()}
    libc.ptrace(PTRACE_DETACH, pid, None, None)


@attempt("core-limit", "raise a guard's core limit so that it dumps its memory when it falls", "core", TRACING)
def core_limit(target: Target) -> Claim:
    for pid in target.guards:
        resource.prlimit(pid, resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    return {"guard": target.guards[0]}


@attempt("debugger", "attach a debugger and dump a guard's memory with gcore", "core-file", TRACING, "gdb")
def debugger(target: Target) -> Iterator[Claim]:
    out = f"/tmp/core-{os.getpid()}"
    said = said_by("gdb", "-p", str(target.guards[0]), "-batch", "-ex", f"gcore {out}")
    if not Path(out).exists():
        raise PermissionError(next((line for line in said.splitlines() if "not permitted" in line), said[-100:]))
    yield {"path": out}
    Path(out).unlink()
