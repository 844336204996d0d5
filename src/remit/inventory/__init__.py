"""What runs here, who owns it, and where it is in its life."""

from remit.inventory.discovery import discover
from remit.inventory.enrolled import Enrolled
from remit.inventory.found import Discovered, Found
from remit.inventory.listening import Exclusion
from remit.inventory.model import DIGEST_HASHING, DIGEST_UNKNOWN, Binding, Model
from remit.inventory.probe import Answer, Probe
from remit.inventory.selectors import check_registration, matches, workload_of
from remit.inventory.workload import (
    Capability,
    Human,
    Kind,
    LifeState,
    Workload,
)

__all__ = [
    "DIGEST_HASHING",
    "DIGEST_UNKNOWN",
    "Answer",
    "Binding",
    "Capability",
    "Discovered",
    "Enrolled",
    "Exclusion",
    "Found",
    "Human",
    "Kind",
    "LifeState",
    "Model",
    "Probe",
    "Workload",
    "check_registration",
    "discover",
    "matches",
    "workload_of",
]
