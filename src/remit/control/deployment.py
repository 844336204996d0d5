"""What doesn't change while one instance runs: where it keeps what it has."""

import os
import time
from dataclasses import dataclass

from remit import __version__
from remit.config import Places


@dataclass(frozen=True, slots=True)
class Deployment:
    """Shown by the `ready` event and `status`. `started` is Unix seconds."""

    version: str
    pid: int
    started: float
    owner: str
    uid: int
    state: str
    shared: bool
    policies: str
    audit_dir: str
    audit_key: str
    workload_api: str
    api: str

    @classmethod
    def of(cls, places: Places, owner: str, bundle: str = "") -> "Deployment":
        """This process's; `bundle` is the signed one that policies come from, where that is no directory."""
        return cls(
            version=__version__,
            pid=os.getpid(),
            started=time.time(),
            owner=owner,
            uid=os.getuid(),
            state=str(places.state),
            shared=places.shared,
            policies=bundle or str(places.policies),
            audit_dir=str(places.audit),
            audit_key=str(places.audit / "audit.pub"),
            workload_api=str(places.workload_api_socket),
            api=str(places.api_socket),
        )
