"""The receipt: proof that a record is durably in the log. Only `audit/log.py` makes one; it is good once."""

from remit.errors import SpentError


class Receipt:
    """Record `index` (0-based) of `shard` is on disk. `of` is the digest of what was recorded."""

    __slots__ = ("_spent", "index", "leaf", "of", "shard")

    def __init__(self, shard: str, index: int, leaf: bytes, of: bytes) -> None:
        self.shard, self.index, self.leaf, self.of = shard, index, leaf, of
        self._spent = False

    def spend(self, of: bytes) -> None:
        """Use the receipt for what it was given for; raises SpentError the second time or for anything else."""
        if self._spent:
            raise SpentError(f"receipt for record {self.index} of {self.shard} was used before")
        if of != self.of:
            raise SpentError(f"receipt for record {self.index} of {self.shard} is for something else")
        self._spent = True
