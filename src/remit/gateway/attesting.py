"""The kernel's word on who holds a connection: asked off the event loop when it is met, and anew when it must be."""

import asyncio

from remit.errors import AttestationError
from remit.gateway.connection import Address, Connection
from remit.gateway.zone import Zone
from remit.identity.attestation import Attested, ReplacedError, attest_unix

Attesting = asyncio.Future[Attested]


def attesting(connection: Connection, zone: Zone) -> Attesting:
    """Begin to find out who is at the other end of a unix or loopback connection; raises AttestationError."""
    loop = asyncio.get_running_loop()
    if connection.kind == "unix":
        return loop.run_in_executor(zone.executor, attest_unix, connection.sock)
    theirs, ours = _end(connection.remote), _end(connection.local)
    return asyncio.wrap_future(zone.arrivals.attest(theirs, ours), loop=loop)


def is_still(begun: Attesting) -> bool:
    """Whether the caller was found out and is what it was then; False: `as_it_is` finds out. Raises as that."""
    if not begun.done():
        return False
    try:
        begun.result().still()
    except ReplacedError:
        return False
    return True


async def as_it_is(begun: Attesting, connection: Connection, zone: Zone) -> Attesting:
    """The same, done, if the caller still is what it was; or done anew, if its executable's file is another by now.

    Raises AttestationError when it can't be known, or became another program.
    """
    attested = begun.result() if begun.done() else await asyncio.shield(begun)
    try:
        attested.still()
    except ReplacedError:
        attested.close()
        begun = attesting(connection, zone)
        await asyncio.shield(begun)
    return begun


def _end(address: Address) -> tuple[str, int]:
    if isinstance(address, str):
        raise AttestationError("a TCP connection without an address")
    return str(address[0]), int(address[1])
