"""What runs out is renewed well before its end: the Snapshot that gateways decide by, and their X.509-SVIDs."""

import asyncio
import time
from typing import Final

from remit.control.condition import Condition
from remit.control.identity_source import IdentitySource
from remit.control.realm import Realm
from remit.control.workers import Workers

SVID_SECONDS: Final = 1800.0  # half of an X.509-SVID's hour


async def renew(
    realm: Realm, workers: Workers, source: IdentitySource, condition: Condition, *, lifetime: float
) -> None:
    """Never ends. `lifetime` is a Snapshot's, in seconds; what the grade rests on is looked at before each."""
    svid_at = time.monotonic()
    while True:
        await asyncio.sleep(lifetime / 3)
        await asyncio.to_thread(condition.look)
        await workers.deliver(realm.snapshot())
        if time.monotonic() - svid_at > SVID_SECONDS:
            svid_at = time.monotonic()
            for zone in workers.live:
                workers.tell(source.gateway_svid(zone), zone)
