"""A key for one permit: leases, and the broker that lends what this zone holds."""

from remit.credentials.lease import Broker, Lease

__all__ = ["Broker", "Lease"]
