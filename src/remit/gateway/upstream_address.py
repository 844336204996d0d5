"""Where a guarded server listens: an address on this machine's network as a value, never a name to be resolved."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from remit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """`path` for a unix socket, else `ip` and `port`; `host` is what its `Host` header says."""

    text: str
    host: str
    ip: str = ""
    port: int = 0
    path: str = ""


@lru_cache(maxsize=256)
def parse_address(text: str) -> UpstreamAddress:
    """`http://127.0.0.1:PORT`, `http://[::1]:PORT` or `unix:/path`; `ConfigError` for anything else."""
    if text.startswith("unix:/"):
        return UpstreamAddress(text, "localhost", path=text.removeprefix("unix:"))
    try:
        parts = urlsplit(text)
        ip = ipaddress.ip_address(parts.hostname or "")
        port = parts.port
    except ValueError:
        raise _bad(text) from None
    host = f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"
    if not port or "%" in text or text.rstrip("/") != f"http://{host}":
        raise _bad(text)
    return UpstreamAddress(text, host, ip=str(ip), port=port)


def _bad(text: str) -> ConfigError:
    return ConfigError(
        f"`{text}` is no address of a model server",
        hint="write it as http://127.0.0.1:PORT, http://[::1]:PORT or unix:/path; names are not resolved",
    )
