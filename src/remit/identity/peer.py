"""Who is at the other end of a unix socket, as the kernel recorded it when they connected."""

from dataclasses import dataclass, field

from remit.errors import AttestationError
from remit.identity.attestation.connected import Connected, UnixSocket


@dataclass(frozen=True, slots=True)
class PeerCredentials:
    """The process that called `connect`, at that time. It may have become another program since: whoever attests it
    asks `process`, the handle on it, what it is now. Its `pid` may be another process's by now.
    """

    pid: int
    uid: int
    gid: int
    handle: Connected | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, connection: UnixSocket) -> "PeerCredentials":
        """Ask the kernel; does not block. `close` it when the connection ends.

        Raises AttestationError when the process has exited since, OSError when it is no connected unix socket.
        """
        handle = Connected.to(connection)
        return cls(handle.pid, handle.uid, handle.gid, handle)

    @property
    def process(self) -> Connected:
        """The handle on the process; raises AttestationError for credentials that no socket gave."""
        if self.handle is None:
            raise AttestationError(f"process {self.pid} is known by its number alone")
        return self.handle

    def close(self) -> None:
        """Give the handle back."""
        if self.handle is not None:
            self.handle.close()
