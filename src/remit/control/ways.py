"""The TCP addresses at which a guarded server answers, from what listens here: all the ways to it around Remit."""

import ipaddress
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from remit.identity.attestation import Listener
from remit.inventory import Workload
from remit.sandbox.fence_line import LOWEST_PORT, MAX_WAYS, NOBODY, Address, Way

ANY_IPV4: Final = ipaddress.IPv4Address(0)
ANY_IPV6: Final = ipaddress.IPv6Address(0)
TOO_MANY: Final = f"no more than {MAX_WAYS} addresses are closed at once, and each uid has its share"


@dataclass(frozen=True, slots=True)
class Around:
    """The ways to one server. `inner` are other ports of its process, or of what it started: it calls them itself."""

    own: frozenset[Way] = frozenset()
    inner: frozenset[Way] = frozenset()

    @property
    def every(self) -> frozenset[Way]:
        return self.own | self.inner

    @property
    def may_be_refused(self) -> bool:
        return all(one.port >= LOWEST_PORT for one in self.every)

    def closable(self, spared: Collection[int]) -> "Around":
        """Without the ports that are never closed, and those."""
        own, inner = (
            frozenset(one for one in ways if one.port >= LOWEST_PORT and one.port not in spared)
            for ways in (self.own, self.inner)
        )
        return Around(own, inner)


def around(
    workload: Workload,
    there: Iterable[Listener],
    *,
    everywhere: bool,
    below: Callable[[Listener], bool] = lambda _: False,
) -> Around:
    """The ways to a server, among sockets that listen. `below` tells of one whether the server's processes hold it.

    Its port counts at every address where a socket of its uid listens: one process may have several.
    """
    if workload.upstream.startswith("unix:"):
        return Around()
    place = urlsplit(workload.upstream)
    every = list(there)
    same = [one for one in every if one.port == place.port and workload.uid in {None, one.uid}]
    own = {way for one in same for way in _ways(one, every, everywhere, NOBODY)}
    if not own and place.port is not None:  # it has gone, or isn't shown
        own = {Way.to(ipaddress.ip_address(place.hostname or ""), place.port, everywhere=everywhere)}
    others = [one for one in every if one.port != place.port and one.uid == workload.uid and below(one)]
    inner = {way for one in others for way in _ways(one, every, everywhere, one.uid)}
    return Around(frozenset(own), frozenset(inner))


def _ways(listener: Listener, there: list[Listener], everywhere: bool, besides: int) -> list[Way]:
    """One of `::` answers IPv4 as well, unless it was told not to; then another may listen there."""
    address = plain(listener.address)
    addresses: list[Address] = [address]
    of_ipv4 = any(one.port == listener.port and plain(one.address).version == 4 for one in there)
    if address == ANY_IPV6 and not of_ipv4:
        addresses.append(ANY_IPV4)
    return [Way.to(one, listener.port, everywhere=everywhere, besides=besides) for one in addresses]


def plain(address: str) -> Address:
    """An address of IPv4 that is written as one of IPv6 is one of IPv4."""
    parsed = ipaddress.ip_address(address)
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed
