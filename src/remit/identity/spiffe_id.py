"""SPIFFE IDs and trust domains: only this parser makes them (SPIFFE-ID standard, sections 2.1 to 2.3)."""

import re
from dataclasses import dataclass
from typing import Final

from remit.errors import IdentityError

MAX_ID_BYTES: Final = 2048  # SPIFFE-ID 2.3: implementations must support up to 2048 bytes
MAX_TRUST_DOMAIN_BYTES: Final = 255  # SPIFFE-ID 2.1

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+\Z")
_SCHEME = "spiffe://"


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """One SPIFFE ID. `path` is empty for a trust domain's own ID, else starts with `/`."""

    trust_domain: str
    path: str

    @classmethod
    def parse(cls, text: str) -> "SpiffeId":
        """Parse `text` strictly; raises IdentityError that names what is wrong with it."""
        if len(text.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
            raise IdentityError(f"SPIFFE ID is longer than {MAX_ID_BYTES} bytes")
        if not text.startswith(_SCHEME):
            raise IdentityError(f"`{_shown(text)}` is not a SPIFFE ID: it must start with `{_SCHEME}`")
        authority, slash, rest = text[len(_SCHEME) :].partition("/")
        _check_trust_domain(authority, text)
        if not slash:
            return cls(authority, "")
        for segment in rest.split("/"):
            if segment in {"", ".", ".."} or _SEGMENT.match(segment) is None:
                raise IdentityError(
                    f"`{_shown(text)}` is not a SPIFFE ID: path segment `{_shown(segment)}` is empty, relative "
                    "or has a character other than a-z A-Z 0-9 . - _"
                )
        return cls(authority, "/" + rest)

    @classmethod
    def of(cls, trust_domain: str, *segments: str) -> "SpiffeId":
        """The ID in `trust_domain` with exactly these path segments; raises IdentityError as `parse` does."""
        for segment in segments:
            if "/" in segment:
                raise IdentityError(f"`{_shown(segment)}` is not one path segment of a SPIFFE ID: it has a `/`")
        return cls.parse("/".join((_SCHEME + trust_domain, *segments)))

    def __str__(self) -> str:
        return f"{_SCHEME}{self.trust_domain}{self.path}"


def _check_trust_domain(name: str, whole: str) -> None:
    if not name:
        raise IdentityError(f"`{_shown(whole)}` is not a SPIFFE ID: the trust domain is missing")
    if len(name) > MAX_TRUST_DOMAIN_BYTES:
        raise IdentityError(f"trust domain is longer than {MAX_TRUST_DOMAIN_BYTES} bytes")
    if _TRUST_DOMAIN.match(name) is None:
        raise IdentityError(
            f"`{_shown(whole)}` is not a SPIFFE ID: trust domain `{_shown(name)}` has a character "
            "other than a-z 0-9 . - _"
        )


def _shown(text: str) -> str:
    """Their words, without anything that a terminal would act on."""
    return repr(text)[1:-1]
