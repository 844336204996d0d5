"""An address to listen at, as `HOST:PORT`."""

import ipaddress
from typing import Final

MAX_PORT: Final = 65_535


def host_port(said: str) -> tuple[str, int]:
    """The IP address and the port (0: any that is free); raises ValueError for what is none. IPv6 is in brackets."""
    host, colon, port = said.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
        raise ValueError(f"`{said}` has no port")
    inside = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    address = ipaddress.ip_address(inside)
    if (address.version == 6) != (inside != host):
        raise ValueError(f"`{said}`: an IPv6 address stands in brackets")
    return inside, int(port)
