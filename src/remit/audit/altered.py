"""The error that names the first record of the log that can't be trusted."""

from typing import Final

from remit.errors import TamperedError

HINT: Final = "keep the files as they are; compare with a copy from before, or with the anchored heads"


class AlteredError(TamperedError):
    """The first record that can't be trusted: `index` (0-based) of `shard`, at byte `offset`; `id` if readable."""

    def __init__(self, shard: str, index: int, offset: int, what: str, record_id: str = "") -> None:
        named = f" `{record_id}`" if record_id else ""
        super().__init__(f"record {index}{named} of {shard} (byte {offset}) {what}", hint=HINT)
        self.shard, self.index, self.offset, self.id = shard, index, offset, record_id
