"""Attest the caller behind a unix socket (SO_PEERCRED and a pidfd, unix(7)), or a process by its id."""

import socket
from contextlib import ExitStack, closing

from remit.identity.attestation import procfs
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.connected import Connected
from remit.identity.attestation.digests import EXECUTABLES, Digests
from remit.identity.attestation.pidfd import PidFd
from remit.identity.attestation.shortage import told


def attest_unix(sock: socket.socket, *, digests: Digests = EXECUTABLES, peer_pidfd: bool = True) -> Attested:
    """The process that connected to the accepted unix socket `sock`.

    Blocks while a new executable is hashed. `peer_pidfd=False` does as kernels before 6.5 must. Raises
    AttestationError when the process has exited, is in another pid namespace, or changed its uid since it connected.
    """
    with told(), closing(Connected.to(sock, peer_pidfd=peer_pidfd)) as connected:
        return connected.attest(digests=digests)


def attest_pid(pid: int, *, digests: Digests = EXECUTABLES) -> Attested:
    """The process `pid`, whatever it is connected to. Raises AttestationError when there is none."""
    with ExitStack() as undo:
        pidfd = PidFd.open(pid)
        undo.callback(pidfd.close)
        process = procfs.observe(pid, digests=digests)
        pidfd.alive()
        undo.pop_all()
    return Attested(process.uid, process, digests=digests, pidfd=pidfd)
