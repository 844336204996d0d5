"""Attest the caller behind one loopback TCP connection: the kernel's socket table, then who holds that socket."""

from remit.errors import AttestationError
from remit.identity.attestation.attested import Attested
from remit.identity.attestation.recent import Memory
from remit.identity.attestation.together import Address, CallersEnd, attest_together


def attest_tcp(local: Address, remote: Address, *, memory: Memory | None = None) -> Attested:
    """The caller whose own end is `local` (the server's `getpeername()`); `remote` is the server's `getsockname()`.

    Good only for the uid's least remit until `finish_walk` has been through. Blocks (up to a few ms; longer while a
    new executable is hashed). Raises AttestationError when the kernel's facts don't establish one identity.
    """
    end = CallersEnd.find(local, remote)
    [(_, answer)] = attest_together(end.facts.uid, [end], memory or Memory())
    if isinstance(answer, AttestationError):
        raise answer
    return answer
