"""Proof that a person acted, and not merely their uid: which acts need it, how it is asked, how long it holds."""

from remit.persons.acts import Act
from remit.persons.kinds import Kind
from remit.persons.pending import Pending, PendingActs, Proof, ProofNeededError, ProofRefusedError, Standing
from remit.persons.shown import Shown

__all__ = [
    "Act",
    "Kind",
    "Pending",
    "PendingActs",
    "Proof",
    "ProofNeededError",
    "ProofRefusedError",
    "Shown",
    "Standing",
]
