"""The walls around the checker of passwords and, narrower, around each check. Why each call: docs/checker.md."""

import errno
from typing import Final

from remit.sandbox.seccomp import READ_ONLY, Argument, Filter

_ALL: Final = 0xFFFFFFFFFFFFFFFF
_NAMESPACES: Final = 0x7E020000  # CLONE_NEW* (linux/sched.h): one of them would hold capabilities of its own
_STDERR: Final = (Argument(0, _ALL, 2),)
_NOT_BLOCKING: Final = (Argument(1, _ALL, 0x5421),)  # of ioctl: FIONBIO alone; others act on terminals and files
_FLAGS: Final = (Argument(1, _ALL & ~3, 0),)  # of fcntl: F_DUPFD to F_GETFL; with F_SETOWN it would send signals
_NO_ADDRESS: Final = (Argument(4, _ALL, 0),)  # of sendto: only where the socket was connected to before
_NO_NEW_PRIVILEGES: Final = (Argument(0, _ALL, 38),)

_CHECK: Final = frozenset(
    word
    for line in (
        "read readv close fstat newfstatat stat lstat statfs access faccessat readlink readlinkat lseek getdents64",
        "poll ppoll pselect6 select getsockname getpeername",
        "mmap munmap mprotect mremap madvise brk futex rseq set_robust_list",
        "rt_sigprocmask rt_sigaction rt_sigreturn sigaltstack alarm setitimer restart_syscall",
        "getpid gettid getuid geteuid getgid getegid getrandom clock_gettime clock_nanosleep uname sched_yield",
        "exit exit_group",
    )
    for word in line.split()
)
# PAM's stacks, /etc/shadow, the account database, PAM's modules and their libraries: no home, no device, no state.
DIRECTORIES: Final = ("/etc", "/usr", "/lib", "/lib64")
_NO_SOCKET: Final = {"clone3": errno.ENOSYS, "socket": errno.EAFNOSUPPORT}  # as where the kernel has no such family

WALLS: Final = Filter(
    allow=_CHECK,
    only={
        "openat": READ_ONLY,
        "write": _STDERR,
        "sendto": _NO_ADDRESS,
        "ioctl": _NOT_BLOCKING,
        "fcntl": _FLAGS,
    },
    answers=_NO_SOCKET,
)
PARENT: Final = Filter(
    allow=_CHECK | frozenset({"recvmsg", "sendmsg", "pidfd_open", "wait4", "seccomp"}),
    only={
        **WALLS.only,
        "clone": (Argument(0, _NAMESPACES, 0),),
        "prctl": _NO_NEW_PRIVILEGES,
    },
    answers=_NO_SOCKET,
)
