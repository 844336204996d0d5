"""The caller: the identity that acts in one request, and by what proof it is known."""

import enum
from dataclasses import dataclass

from remit.identity.process import Process
from remit.identity.spiffe_id import SpiffeId


class Proof(enum.StrEnum):
    """How a caller is known, strongest first."""

    MTLS = "mtls"  # an X.509-SVID on the connection
    UNIX = "unix"  # SO_PEERCRED and a pidfd
    LOOPBACK = "loopback"  # the kernel's socket table
    JWT_SVID = "jwt-svid"  # a bearer JWT-SVID where an API key would go
    VOUCHED = "vouched"  # the word of a registered enforcement point


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling. Made by `gateway/callers.py` from kernel facts or a verified SVID.

    `human` is the accountable person's name; `person` the pseudonym that stands for them in the log.
    `enrolled` is false for a person's processes that are no workload of their own (identity `/user/NAME`).
    `exhaustive` is true when every holder of the socket is known (always for unix sockets and mTLS).
    `task` is the id of the task whose token came with the request, `chain` the workloads that it passed through.
    """

    spiffe_id: SpiffeId
    human: str
    person: str
    proof: Proof
    process: Process | None
    enrolled: bool
    exhaustive: bool
    task: str | None = None
    chain: tuple[SpiffeId, ...] = ()

    def described(self) -> str:
        """The caller as a person would name it, without the name of one: `curl (pid 5120, uid 1000)`."""
        if self.process is None:
            return str(self.spiffe_id) if self.enrolled else f"a process known by {_KNOWN_BY[self.proof]} alone"
        return f"{self.process.name} (pid {self.process.pid}, uid {self.process.uid})"


_KNOWN_BY = {
    Proof.MTLS: "its X.509-SVID",
    Proof.UNIX: "uid",
    Proof.LOOPBACK: "uid",
    Proof.JWT_SVID: "its JWT-SVID",
    Proof.VOUCHED: "an enforcement point",
}
