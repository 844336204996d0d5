"""Where the policies in force come from: the policy directory, or a signed bundle."""

from pathlib import Path
from typing import Final, Protocol

from remit.config import Places, Settings
from remit.control.policy_bundle import BundleSource, signers
from remit.control.policy_found import Found, Mark, mark_of
from remit.policy import load, read_directory, write_starter
from remit.policy.profiles import PLACE

ACCEPTED: Final = "policy-bundle.json"
_READ: Final = frozenset({".cedar", ".toml"})


class Source(Protocol):
    """Both block: they look at files."""

    def mark(self, now: float) -> Mark:
        """At `now` (Unix seconds)."""
        ...

    def read(self) -> Found:
        """Raises PolicyError."""
        ...


def source(places: Places, settings: Settings) -> Source:
    """The configured one; the starter policies are written where a directory is to be read and none is there."""
    if settings.policy.bundle:
        return BundleSource(Path(settings.policy.bundle), signers(settings), places.state / ACCEPTED)
    if not places.policies.exists():
        write_starter(places.policies)
    return DirectorySource(places.policies)


class DirectorySource:
    """Reads the policy directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self, now: float) -> Mark:
        return mark_of([self._path, *self._inside(self._path), *self._inside(self._path / PLACE)], now)

    def read(self) -> Found:
        """Raises PolicyError for what can't be trusted, read or loaded."""
        files = read_directory(self._path)
        return Found(files, load(files))

    def _inside(self, folder: Path) -> list[Path]:
        try:
            return sorted(path for path in folder.iterdir() if path.suffix in _READ)
        except OSError:
            return [folder]
