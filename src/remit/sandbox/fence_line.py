"""What control asks of the fence, and its answers: fixed structures on one inherited line.

A question is a number and a verb; STAND has the whole set of ways after it, each a `Way`. An answer is that number,
an error number of the kernel (0: none) and whether the table in the kernel is now the one that was last asked for.
"""

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

STAND: Final = 1
READ: Final = 2
MAX_WAYS: Final = 64
LOWEST_PORT: Final = 1024  # below it is what a machine lives on: nothing there is ever refused
NOBODY: Final = 0xFFFFFFFF  # no account's uid (credentials(7)): nobody else is let through
QUESTION: Final = struct.Struct("=IB")
ANSWER: Final = struct.Struct("=Ii?")
_WAY: Final = struct.Struct("=B?HI16s")
MAX_MESSAGE: Final = QUESTION.size + MAX_WAYS * _WAY.size

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """A TCP address that only Remit may call: of one family, an unspecified `address` meaning all of that family.

    With `everywhere` callers on other machines are refused too. Sockets of uid `besides` are let through.
    """

    version: int
    packed: bytes
    port: int
    everywhere: bool = False
    besides: int = NOBODY

    @classmethod
    def to(cls, address: Address, port: int, *, everywhere: bool = False, besides: int = NOBODY) -> "Way":
        return cls(address.version, address.packed, port, everywhere, besides)

    @property
    def anywhere(self) -> bool:
        return not any(self.packed)

    @property
    def where(self) -> str:
        host = str(ipaddress.ip_address(self.packed))
        return f"{host}:{self.port}" if self.version == 4 else f"[{host}]:{self.port}"


def packed(number: int, verb: int, ways: Iterable[Way] = ()) -> bytes:
    rows = (_WAY.pack(one.version, one.everywhere, one.port, one.besides, one.packed) for one in ways)
    return QUESTION.pack(number, verb) + b"".join(rows)


def ways_in(message: bytes) -> frozenset[Way]:
    """The ways after a question's head; raises ValueError for no such set, or a port below the lowest."""
    rows = message[QUESTION.size :]
    if len(rows) % _WAY.size or len(rows) > MAX_WAYS * _WAY.size:
        raise ValueError("not a set of ways")
    return frozenset(_way(*row) for row in _WAY.iter_unpack(rows))


def _way(version: int, everywhere: bool, port: int, besides: int, address: bytes) -> Way:
    size = {4: 4, 6: 16}.get(version)
    if size is None or any(address[size:]):
        raise ValueError("an address of no known family")
    if port < LOWEST_PORT:
        raise ValueError("a port that is never refused")
    return Way(version, address[:size], port, everywhere, besides)
