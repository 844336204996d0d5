"""What runs here, who owns it, and where it is in its life."""

from remit.inventory.discovery import discover
from remit.inventory.found import Discovered, Found
from remit.inventory.listening import Exclusion
from remit.inventory.probe import Answer, Probe
from remit.inventory.selectors import matches
from remit.inventory.workload import (
    DIGEST_HASHING,
    DIGEST_UNKNOWN,
    Capability,
    Human,
    Kind,
    Model,
    Workload,
)

__all__ = [
    "DIGEST_HASHING",
    "DIGEST_UNKNOWN",
    "Answer",
    "Capability",
    "Discovered",
    "Exclusion",
    "Found",
    "Human",
    "Kind",
    "Model",
    "Probe",
    "Workload",
    "discover",
    "matches",
]
