"""What doesn't change while one instance runs: its grade, and where it keeps what it has."""

import os
import time
from dataclasses import dataclass
from typing import Final

from remit import __version__
from remit.config import Places

GRADE: Final = "C"
GRADE_WHY: Final = (
    "because Remit runs as you: a hostile process of yours could stop it, read its key or edit its policy"
)
SHARED_WHY: Final = "though Remit runs under its own uid: the models' own ports answer anybody on this machine"
SHARED_RAISES: Final = "B when no way leads around Remit to a model (see docs/system-mode.md)"
RAISES: Final = "B when Remit runs as its own user (system mode; see docs/threat-model.md)"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Shown by the `ready` event and `status`. `started` is Unix seconds."""

    version: str
    pid: int
    started: float
    owner: str
    uid: int
    grade: str
    grade_why: str
    raises: str
    state: str
    shared: bool
    policies: str
    audit_dir: str
    audit_key: str
    workload_api: str
    api: str

    @classmethod
    def of(cls, places: Places, owner: str) -> "Deployment":
        """This process's."""
        return cls(
            version=__version__,
            pid=os.getpid(),
            started=time.time(),
            owner=owner,
            uid=os.getuid(),
            grade=GRADE,
            grade_why=SHARED_WHY if places.shared else GRADE_WHY,
            raises=SHARED_RAISES if places.shared else RAISES,
            state=str(places.state),
            shared=places.shared,
            policies=str(places.policies),
            audit_dir=str(places.audit),
            audit_key=str(places.audit / "audit.pub"),
            workload_api=str(places.workload_api_socket),
            api=str(places.api_socket),
        )
