"""The doors that are open: each guarded workload's, opened once and kept, also while its server is away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from remit.config import GatewaySettings
from remit.control.doors import Door, close_doors, open_doors
from remit.control.workers import Workers
from remit.identity import SpiffeId
from remit.inventory import Workload


class Served:
    """The doors of one instance. `urls` are the ways to call each workload, by its name."""

    def __init__(
        self,
        workers: Workers,
        settings: GatewaySettings,
        run: Path,
        say: Callable[[dict[str, Any]], None],
        mode: int = 0o600,
    ) -> None:
        self._mode = mode
        self._workers, self._settings, self._run, self._say = workers, settings, run, say
        self._doors: dict[SpiffeId, list[Door]] = {}
        self.urls: dict[str, dict[str, str]] = {}

    def open(self, workload: Workload) -> None:
        """Open a workload's doors, unless they are: from then on it can be called through Remit."""
        if workload.spiffe_id in self._doors:
            return
        first = self._settings.port + len(self._doors)
        doors, urls = open_doors(workload, self._settings.address, first, self._run, self._mode)
        if not urls["url"].endswith(f":{first}"):
            self._say({"event": "note", "text": f"port {first} is taken: {workload.name} is served at {urls['url']}"})
        self._doors[workload.spiffe_id] = doors
        self.urls[workload.name] = urls
        for door in doors:
            self._workers.listen(door)

    def own(self) -> tuple[frozenset[int], frozenset[str]]:
        """The TCP ports and socket paths that are Remit's, and no server to be found."""
        doors = [door for doors in self._doors.values() for door in doors]
        ports = frozenset(door.sock.getsockname()[1] for door in doors if door.kind != "unix")
        return ports, frozenset(door.url for door in doors if door.kind == "unix")

    def close(self) -> None:
        for doors in self._doors.values():
            close_doors(doors)
