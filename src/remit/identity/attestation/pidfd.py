"""A pidfd: one process by a handle that is never reused (pidfd_open(2))."""

import os
import select
import threading

from remit.errors import AttestationError


class PidFd:
    """Owns one pidfd and closes it, at the latest when it is collected. Safe to share between threads."""

    __slots__ = ("_fd", "_lock", "pid")

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self._fd = fd
        self._lock = threading.Lock()

    @classmethod
    def open(cls, pid: int) -> "PidFd":
        """Raises AttestationError when there is no process `pid`."""
        try:
            return cls(pid, os.pidfd_open(pid))
        except (OSError, ValueError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a process id"
            raise AttestationError(f"can't open process {pid}: {reason}") from error

    def copy(self) -> "PidFd":
        """Another handle on the same process. Raises AttestationError when this one is closed."""
        with self._lock:
            if self._fd < 0:
                raise AttestationError(f"the handle on process {self.pid} is closed")
            try:
                return PidFd(self.pid, os.dup(self._fd))
            except OSError as error:
                raise AttestationError(f"can't open process {self.pid}: {error.strerror}") from error

    def alive(self) -> None:
        """Raises AttestationError when the process has exited (even unreaped) or the handle is closed. About 1 µs."""
        with self._lock:  # a number that was closed may name another file by now
            if self._fd < 0:
                raise AttestationError(f"the handle on process {self.pid} is closed")
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            exited = poll.poll(0)
        if exited:
            raise AttestationError(f"process {self.pid} has exited")

    def fileno(self) -> int:
        """The descriptor, readable once the process has exited; -1 when closed. It stays owned here."""
        return self._fd

    def close(self) -> None:
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()
