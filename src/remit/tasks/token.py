"""The bearer token of a task or session: minted from entropy handed in, shown once, kept as its digest alone."""

import hashlib
import string
from typing import Final

PREFIX: Final = "remit_task_"  # what Remit mints carries a fixed prefix, so that the detector finds it anywhere
SESSION_PREFIX: Final = "remit_session_"
ENTROPY_BYTES: Final = 32
BODY_CHARACTERS: Final = 43  # ceil(256 / log2(62))

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


def mint(entropy: bytes, prefix: str = PREFIX) -> tuple[str, str]:
    """The token for 32 bytes of fresh randomness, and the hex SHA-256 under which it is known from now on.

    Raises ValueError for any other amount of entropy.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a token takes {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}")
    token = prefix + _base62(int.from_bytes(entropy, "big")).rjust(BODY_CHARACTERS, _ALPHABET[0])
    return token, digest(token)


def digest(token: str) -> str:
    """The hex SHA-256 that a task or session carries for its token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _base62(number: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
