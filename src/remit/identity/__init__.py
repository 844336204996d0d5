"""Who a workload is: SPIFFE IDs, SVIDs, the trust domain's authority, attestation, the Workload API."""

from remit.identity.caller import Caller, Proof
from remit.identity.process import Ancestor, Process
from remit.identity.spiffe_id import SpiffeId

__all__ = ["Ancestor", "Caller", "Process", "Proof", "SpiffeId"]
