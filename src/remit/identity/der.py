"""DER certificates that are written one after the other, taken apart (SPIFFE Workload API standard, 5.2.1)."""

from typing import Final

from remit.errors import IdentityError
from remit.identity.x509_path import MAX_CERTIFICATE_BYTES, MAX_CHAIN

_SEQUENCE: Final = 0x30  # X.690 8.9: what a certificate is
_LONG: Final = 0x80  # X.690 8.1.3.5: this bit means that the other seven are how many bytes the length has


def split_certificates(content: bytes, most: int = MAX_CHAIN) -> tuple[bytes, ...]:
    """Each certificate's bytes, at least one and at most `most`; raises IdentityError.

    Where one ends is all that is looked at: whether it is a certificate, `x509_path.parse_certificates` says.
    """
    found: list[bytes] = []
    while content:
        if len(found) == most:
            raise IdentityError(f"there are more than {most} certificates")
        size = _size(content)
        found.append(content[:size])
        content = content[size:]
    if not found:
        raise IdentityError("there is no certificate")
    return tuple(found)


def _size(content: bytes) -> int:
    """How many bytes the first value in `content` has, its head included."""
    if len(content) < 2 or content[0] != _SEQUENCE:
        raise IdentityError("what stands in a certificate's place is none")
    head, length = 2, content[1]
    if length & _LONG:
        head += length & ~_LONG
        length = int.from_bytes(content[2:head])
    if not 0 < length <= MAX_CERTIFICATE_BYTES or head + length > len(content):
        raise IdentityError("a certificate is cut short or too long")
    return head + length
