"""A process as if it had connected to a unix socket, alone: for those that can't be made to connect."""

from remit.identity import PeerCredentials
from remit.identity.attestation import EXECUTABLES, Connected, observe
from remit.identity.attestation.pidfd import PidFd


def as_if_connected(pid: int) -> PeerCredentials:
    """Its credentials, with a real handle; close them."""
    process = observe(pid, digests=EXECUTABLES)
    handle = Connected(PidFd.open(pid), process.uid, process.gid, 0, by_number=False)
    handle.saw_alone(process)
    return PeerCredentials(pid, process.uid, process.gid, handle)
