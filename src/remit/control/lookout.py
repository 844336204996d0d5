"""Looking for the model servers on this host: all of it, what the configuration names, and one address alone."""

import asyncio
from collections.abc import Callable

from remit.config import DiscoverySettings
from remit.inventory import Discovered, Exclusion, Found, Probe
from remit.inventory.discovery import discover, look_at
from remit.models.behind_walls import read_through
from remit.sandbox.parsing import parsed


class Lookout:
    """Asks through `probe`. `own` says what is Remit's own now, and no server to be found."""

    def __init__(self, probe: Probe, settings: DiscoverySettings, own: Callable[[], Exclusion]) -> None:
        self._probe, self._settings, self._own = probe, settings, own
        read_through(parsed)  # what it finds may name strangers' files

    async def look(self) -> Discovered:
        """The model servers on this host now: found, and those that the configuration names."""
        settings = self._settings
        found = await discover(self._probe, exclude=self._own()) if settings.look else Discovered((), ())
        answers = await asyncio.gather(*(look_at(self._probe, address) for address in settings.servers))
        silent = tuple(
            f"{address}: named in the configuration, and does not answer"
            for address, one in zip(settings.servers, answers, strict=True)
            if one is None
        )
        servers = [one for one in (*found.found, *answers) if one and one.upstream not in settings.ignore]
        return Discovered(tuple({one.upstream: one for one in servers}.values()), found.unread + silent)

    async def ask_alone(self, address: str) -> Found | None:
        """What answers at an address that was missed in the search; None for a named one: it was asked alone."""
        return None if address in self._settings.servers else await look_at(self._probe, address)
