"""RFC 6962 section 2.1, transcribed as the slow recursion the RFC itself gives: the oracle for `remit.audit.tree`."""

from hashlib import sha256


def mth(d: list[bytes]) -> bytes:
    """MTH over entries (not leaf hashes)."""
    n = len(d)
    if n == 0:
        return sha256().digest()
    if n == 1:
        return sha256(b"\x00" + d[0]).digest()
    k = _k(n)
    return sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def _k(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k
