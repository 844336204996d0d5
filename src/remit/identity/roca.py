"""RSA keys of a chip library whose primes can be guessed (ROCA, CVE-2017-15361)."""

from typing import Final

# "The Return of Coppersmith's Attack" (Nemec and others, CCS 2017), 2.3 and 5: those primes are k*M + 65537**a mod M,
# M being at least the product of the first 39 primes, so that the modulus is a power of 65537 modulo each of these.
# For a modulus made in another way that comes by chance once in 2**154.
_PRIMES: Final = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip
_POWERS: Final = {prime: frozenset(pow(65537, a, prime) for a in range(prime - 1)) for prime in _PRIMES}


def guessable(modulus: int) -> bool:
    """Whether this RSA modulus has the fingerprint."""
    return all(modulus % prime in powers for prime, powers in _POWERS.items())
