"""The recovery code: made and shown once, kept as a scrypt hash; opens break-glass when nothing else can."""

import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from remit.errors import RemitError, StateError, UsageError
from remit.identity.private_file import read_private, write_private
from remit.secret import Secret

SEALED_FILE: Final = "sealed.json"
RANDOM_BYTES: Final = 17  # 136 bits, of which the letters take 135
LETTERS: Final = 27
CHECK_LETTERS: Final = 1  # a slip of the pen is named as such with a chance of 31 in 32, and is no wrong code
GROUP: Final = 4
SCRYPT_N: Final = 1 << 15  # with r = 8: 32 MiB and about 0.1 s; the code itself can't be guessed
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
MAX_N: Final = 1 << 18
MAX_MEMORY: Final = 512 << 20

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None, "\t": None})


class WrongCodeError(RemitError):
    """The code is well formed and is not the one that was sealed."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is kept of a code, and what an emergency needs when nothing else can be read: whose Remit this is.

    `salt` and `hashed` are hex, `made` Unix seconds; `uids` are the owner's accounts.
    """

    salt: str
    hashed: str
    made: float
    n: int = SCRYPT_N
    r: int = SCRYPT_R
    p: int = SCRYPT_P
    owner: str = ""
    uids: tuple[int, ...] = field(default=())
    trust_domain: str = ""

    def opened_by(self, code: Secret) -> bool:
        """Whether this is the code; raises UsageError for what can be no code at all."""
        return hmac.compare_digest(_hash(_read(code), self), bytes.fromhex(self.hashed))

    @classmethod
    def parse(cls, raw: bytes, name: str) -> "Sealed":
        """What `raw` holds; raises StateError when it is no seal."""
        try:
            row = json.loads(raw)
            sealed = cls(**{**row, "uids": tuple(row["uids"])})
            bytes.fromhex(sealed.salt), bytes.fromhex(sealed.hashed)
            sound = 2 <= sealed.n <= MAX_N and 1 <= sealed.r <= 16 and 1 <= sealed.p <= 4
        except (ValueError, TypeError, KeyError) as error:
            raise _spoilt(name) from error
        if not sound:
            raise _spoilt(name)
        return sealed


def fresh_code(random: bytes) -> Secret:
    """The code of RANDOM_BYTES random bytes, in groups as it is shown: `7Q2M-…`."""
    letters = "".join(_CROCKFORD[int.from_bytes(random) >> shift & 31] for shift in range(5 * LETTERS - 5, -1, -5))
    whole = letters + _check(letters)
    return Secret("-".join(whole[at : at + GROUP] for at in range(0, len(whole), GROUP)))


def sealed(code: Secret, salt: bytes, made: float, *, owner: str, uids: tuple[int, ...], domain: str) -> Sealed:
    """The code as it is kept."""
    empty = Sealed(salt.hex(), "", made, owner=owner, uids=uids, trust_domain=domain)
    return Sealed(**{**asdict(empty), "hashed": _hash(_read(code), empty).hex()})


def seal(directory: Path, made: float, *, owner: str = "", uids: tuple[int, ...] = (), domain: str = "") -> Secret:
    """Make a new code and keep its hash in `directory`; the code is in the answer and nowhere else.

    The code before it opens nothing any more. Raises StateError.
    """
    code = fresh_code(os.urandom(RANDOM_BYTES))
    kept = sealed(code, os.urandom(16), made, owner=owner, uids=uids, domain=domain)
    write_private(directory / SEALED_FILE, json.dumps(asdict(kept)).encode())
    return code


def read_sealed(directory: Path) -> Sealed | None:
    """What is sealed in `directory`, None when nothing is; raises StateError when it can't be read."""
    path = directory / SEALED_FILE
    if not path.exists():
        return None
    return Sealed.parse(read_private(path), str(path))


def _read(code: Secret) -> str:
    """The letters of a code as typed: case, spaces, hyphens, `O`, `I` and `L` don't matter. Raises UsageError."""
    typed = code.reveal().strip().upper().translate(_READ_AS)
    if len(typed) != LETTERS + CHECK_LETTERS or any(letter not in _CROCKFORD for letter in typed):
        raise UsageError("this is no recovery code", hint="it is seven groups of four letters and digits")
    if _check(typed[:LETTERS]) != typed[LETTERS:]:
        raise UsageError("a letter of the recovery code was mistyped", hint="look at it again; nothing was counted")
    return typed[:LETTERS]


def _check(letters: str) -> str:
    return _CROCKFORD[hashlib.sha256(b"remit recovery code " + letters.encode()).digest()[0] & 31]


def _hash(letters: str, under: Sealed) -> bytes:
    return hashlib.scrypt(
        letters.encode(), salt=bytes.fromhex(under.salt), n=under.n, r=under.r, p=under.p, maxmem=MAX_MEMORY, dklen=32
    )


def _spoilt(name: str) -> StateError:
    return StateError(f"`{name}` is no sealed recovery code", hint="seal a new one: remit break-glass seal")


def described(found: Sealed | None) -> dict[str, Any]:
    """What may be shown of it."""
    return {"sealed": found is not None, "made": None if found is None else found.made}
