"""A system call filter around a process: what is not allowed fails or kills it, in each of its threads, for good.

Filters are classic BPF, run by the kernel on `struct seccomp_data` (linux/seccomp.h: number, machine, instruction
pointer, six arguments of 64 bits). The machine is checked first: a number means another call on another machine.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from remit.errors import StateError
from remit.sandbox.syscalls import number

# linux/seccomp.h, linux/prctl.h
SET_MODE_FILTER: Final = 1
FLAG_TSYNC: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38
RET_KILL_PROCESS: Final = 0x80000000
RET_ERRNO: Final = 0x00050000
RET_ALLOW: Final = 0x7FFF0000

AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
X32_BIT: Final = 0x40000000  # x86_64's second table of calls, with pointers of 32 bits

# linux/bpf_common.h: class, size and mode in one number
_LOAD: Final = 0x20
_AND: Final = 0x54
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_WORD: Final = 0xFFFFFFFF
_MOST: Final = 4096  # BPF_MAXINSNS

CLONE_THREAD: Final = 0x00010000  # linux/sched.h
WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY)

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand: struct sock_filter


class Deny(Enum):
    """What happens to a call that is not allowed."""

    EPERM = RET_ERRNO | errno.EPERM
    KILL_PROCESS = RET_KILL_PROCESS


@dataclass(frozen=True, slots=True)
class Argument:
    """A condition: argument `index` (0 to 5), masked, is `value`. All 64 bits count as far as `mask` has them."""

    index: int
    mask: int
    value: int


READ_ONLY: Final = (Argument(2, WRITING, 0),)  # of openat
THREADS_ONLY: Final = (Argument(0, CLONE_THREAD, CLONE_THREAD),)  # of clone: no process, and so no namespace


@dataclass(frozen=True, slots=True)
class Filter:
    """What a process may ask of the kernel: `allow` names calls; `only` those allowed if every condition holds.

    `answers` maps names to an error number: `clone3` keeps its flags in memory, where no filter can look, so it is
    answered ENOSYS, upon which the C library falls back to `clone`. All else is met with `deny_with`.
    """

    allow: frozenset[str]
    only: Mapping[str, tuple[Argument, ...]] = field(default_factory=dict)
    answers: Mapping[str, int] = field(default_factory=lambda: {"clone3": errno.ENOSYS})
    deny_with: Deny = Deny.EPERM

    def program(self, machine: str) -> list[Instruction]:
        """The filter in BPF for `machine` (as `uname -m` has it). Raises StateError for what it cannot express."""
        if machine not in AUDIT_ARCH:
            raise StateError(f"no system call filter is written for machine `{machine}`")
        if twice := (self.allow & self.only.keys()) | (self.answers.keys() & (self.allow | self.only.keys())):
            raise StateError(f"`{min(twice)}` stands in a system call filter twice")
        code = _prologue(machine)
        for name, conditions in sorted(self.only.items()):
            code += _case(number(name, machine), [*_conditions(conditions), _returns(self.deny_with.value)])
        for name in sorted(self.allow):
            code += _case(number(name, machine), [_returns(RET_ALLOW)])
        for name, error in sorted(self.answers.items()):
            code += _case(number(name, machine), [_returns(RET_ERRNO | error)])
        code.append(_returns(self.deny_with.value))
        if len(code) > _MOST:
            raise StateError(f"a system call filter has more than {_MOST} steps")
        return code

    def apply(self) -> None:
        """Put every thread of this process under it, with no new privileges and no way back.

        Raises StateError if the kernel does not take it, or cannot put every thread under it.
        """
        code = self.program(os.uname().machine)
        packed = b"".join(struct.pack("=HBBI", *step) for step in code)
        steps = ctypes.create_string_buffer(packed, len(packed))
        _load(_Program(len(code), ctypes.cast(steps, ctypes.c_void_p)))


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def _load(program: _Program) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) != 0:
        raise StateError(f"no-new-privileges failed: {os.strerror(ctypes.get_errno())}")
    libc.syscall.restype = ctypes.c_long
    call = ctypes.c_long(number("seccomp", os.uname().machine) or -1)
    done = libc.syscall(call, ctypes.c_ulong(SET_MODE_FILTER), ctypes.c_ulong(FLAG_TSYNC), ctypes.byref(program))
    if done > 0:
        raise StateError(f"thread {done} could not be put under the system call filter")
    if done < 0:
        reason = os.strerror(ctypes.get_errno())
        raise StateError(
            f"the kernel took no system call filter: {reason}", hint="is CONFIG_SECCOMP_FILTER built in?"
        )


def _prologue(machine: str) -> list[Instruction]:
    code = [(_LOAD, 0, 0, _MACHINE_AT), (_EQUAL, 1, 0, AUDIT_ARCH[machine]), _returns(RET_KILL_PROCESS)]
    code.append((_LOAD, 0, 0, _NUMBER_AT))
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, X32_BIT), _returns(RET_KILL_PROCESS)]
    return code


def _case(call: int | None, then: list[Instruction]) -> list[Instruction]:
    """`then`, if the loaded number is `call`; all its branches return, so the number is loaded still after it."""
    return [] if call is None else [(_EQUAL, 0, len(then), call), *then]


def _conditions(conditions: tuple[Argument, ...]) -> list[Instruction]:
    """Allow if all hold, else go on with the step after. Refuses an empty list: it would allow all."""
    if not conditions:
        raise StateError("a system call that is allowed on conditions has none")
    code = [_returns(RET_ALLOW)]
    for one in reversed(conditions):
        for high in (1, 0):
            mask, value = one.mask >> (32 * high) & _WORD, one.value >> (32 * high) & _WORD
            if mask or value:
                load = (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * one.index + 4 * high)  # both machines are little-endian
                code = [load, (_AND, 0, 0, mask), (_EQUAL, 0, len(code), value), *code]
    return code


def _returns(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)
