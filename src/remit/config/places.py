"""Where an instance keeps what it has, and how short a socket's path must be."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_SOCKET_PATH_BYTES: Final = 107  # sun_path holds 108 bytes with its final NUL (unix(7))
LONGEST_SOCKET_NAME: Final = 40
SYSTEM_ACCOUNT: Final = "remit"  # whose uid is Remit's own in system mode


@dataclass(frozen=True, slots=True)
class Places:
    """Where this instance keeps what it has. All are absolute. `shared`: it is one instance for everybody here."""

    state: Path
    run: Path
    config: Path
    policies: Path
    shared: bool = False

    @classmethod
    def of(cls, state: Path | None, environ: Mapping[str, str]) -> "Places":
        """The XDG directories, or all of it below `state` when one is given."""
        if state is not None:
            root = state.absolute()
            return cls(root, _short(root / "run"), root / "config.toml", root / "policies")
        home = Path(environ.get("HOME") or Path.home())
        kept = Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "remit"
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "remit"
        runtime = environ.get("XDG_RUNTIME_DIR")
        run = Path(runtime) / "remit" if runtime else kept / "run"
        return cls(kept, _short(run), config / "config.toml", config / "policies")

    @classmethod
    def system(cls) -> "Places":
        """System mode's: one instance a host, under its own uid (hier(7), file-hierarchy(7))."""
        config = Path("/etc/remit")
        return cls(Path("/var/lib/remit"), Path("/run/remit"), config / "config.toml", config / "policies", True)

    @property
    def audit(self) -> Path:
        return self.state / "audit"

    @property
    def api_socket(self) -> Path:
        return self.run / "control.sock"

    @property
    def person_socket(self) -> Path:
        return self.run / "person.sock"

    @property
    def workload_api_socket(self) -> Path:
        return self.run / "workload.sock"

    @property
    def socket_mode(self) -> int:
        """Of the sockets that people use: where everybody may connect, the kernel still tells who does."""
        return 0o666 if self.shared else 0o600

    @property
    def run_file(self) -> Path:
        return self.run / "remit.json"


def _short(run: Path) -> Path:
    """`run`, or a directory of the same user with a short name where the kernel's socket path limit is too near."""
    if len(os.fsencode(run)) + 1 + LONGEST_SOCKET_NAME <= MAX_SOCKET_PATH_BYTES:
        return run
    tag = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return Path(f"/tmp/remit-{os.getuid()}-{tag}")  # noqa: S108 (made 0700 and checked for its owner before use)
