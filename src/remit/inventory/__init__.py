"""What runs here, who owns it, and where it is in its life."""

from remit.inventory.workload import (
    DIGEST_HASHING,
    DIGEST_UNKNOWN,
    Capability,
    Human,
    Kind,
    Model,
    Workload,
)

__all__ = ["DIGEST_HASHING", "DIGEST_UNKNOWN", "Capability", "Human", "Kind", "Model", "Workload"]
