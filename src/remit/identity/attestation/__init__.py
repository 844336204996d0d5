"""Attestation: which process is calling, by the kernel's word and never the caller's (Linux).

`attest_tcp`, `attest_unix` and `attest_pid` block: call them in an executor thread. `Arrivals.attest` and
`Attested.still` do not.
Known limits: a socket passed on after the walk, in flight in a unix socket's queue or registered with io_uring is not
seen; a process whose descriptors can't be read is counted (`Holders.unreadable`), not looked at.
"""

from remit.identity.attestation.arrivals import Arrivals
from remit.identity.attestation.attested import Attested, ReplacedError
from remit.identity.attestation.connected import Connected
from remit.identity.attestation.digests import EXECUTABLES, Digests
from remit.identity.attestation.holders import Holders, exhaustive
from remit.identity.attestation.launched import with_task
from remit.identity.attestation.lineage import Lineages
from remit.identity.attestation.loopback import attest_tcp
from remit.identity.attestation.peercred import attest_pid, attest_unix
from remit.identity.attestation.procfs import observe
from remit.identity.attestation.recent import Memory
from remit.identity.attestation.sock_diag import Listener, SocketFacts, listeners, lookup
from remit.identity.attestation.unix_diag import UnixListener, unix_listeners
from remit.identity.attestation.walks import Walks

__all__ = [
    "EXECUTABLES",
    "Arrivals",
    "Attested",
    "Connected",
    "Digests",
    "Holders",
    "Lineages",
    "Listener",
    "Memory",
    "ReplacedError",
    "SocketFacts",
    "UnixListener",
    "Walks",
    "attest_pid",
    "attest_tcp",
    "attest_unix",
    "exhaustive",
    "listeners",
    "lookup",
    "observe",
    "unix_listeners",
    "with_task",
]
