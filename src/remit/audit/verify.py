"""Is the log what was written? Answered offline, from its files and one public key; imports nothing but this package.

What is checked, in order, for each shard:
 1. its header belongs to it, and the root key certified its writer's key
 2. each record against its mark, each checkpoint against the records above it: count, root, the writer's signature
 3. nothing follows a closed shard; what follows the last checkpoint of another is a write that did not finish
 4. the head that the writer's next shard names as its previous is this shard's last
 5. each head in the saved checkpoint, if one was given, is in it
Not checked here: what a record says (its writer vouches for it), and, without a saved checkpoint, whether the newest
records were cut off: a shorter log looks the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remit.audit.altered import HINT
from remit.audit.note import SignedHead, VerifierKey, b64, parse_notes
from remit.audit.scan import Scan, ShardVerdict
from remit.audit.shard import Opening, header_tampered, read_opening, shards_in, writer_of
from remit.errors import AuditError, TamperedError


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole log is as it was written. `anchored` counts the saved heads that it was compared with; 0 is none.

    `newest_age` is in seconds, negative where the clock was set back since; None for a log without a shard.
    """

    shards: tuple[ShardVerdict, ...]
    anchored: int
    newest_age: float | None

    @property
    def records(self) -> int:
        return sum(shard.records for shard in self.shards)

    @property
    def end_unknown(self) -> int:
        """Calls that began and have no end in the log: under way in an open shard, unknown in any other."""
        return sum(shard.pending for shard in self.shards)

    def to_dict(self) -> dict[str, Any]:
        return {
            "ok": True,
            "records": self.records,
            "newest_age": self.newest_age,
            "end_unknown": self.end_unknown,
            "truncation_checked": self.anchored > 0,
            "shards": [shard.to_dict() for shard in self.shards],
        }


def verify(directory: Path, root: VerifierKey, checkpoint: bytes | None, now: float) -> Verdict:
    """Check every shard in `directory` against the root public key, and against the saved `checkpoint` if given.

    The log may be written meanwhile. Raises AlteredError (or TamperedError, where no record can be named) for the
    first thing that is not as it was written, and AuditError when the files can't be read or there are none.
    """
    saved = [] if checkpoint is None else parse_notes(checkpoint)
    paths = shards_in(directory)
    if not paths and not saved:
        raise AuditError(f"there is no audit log in `{directory}`", hint="give the directory with --dir")
    openings = {path.stem: _opening(path, root) for path in paths}
    wanted = _wanted(openings, saved)
    verdicts: list[ShardVerdict] = []
    for path in paths:
        scan = Scan(path, openings[path.stem], frozenset(wanted.get(path.stem, ())))
        verdicts.append(scan.verdict())
        _check_heads(scan, openings, [head for head in saved if head.head.origin == scan.origin])
    newest = max((verdict.newest for verdict in verdicts), default=None)
    return Verdict(tuple(verdicts), len(saved), None if newest is None else now - newest)


def _opening(path: Path, root: VerifierKey) -> Opening:
    """Step 1."""
    try:
        opening = read_opening(path)[1]
    except OSError as error:
        raise AuditError(f"audit shard `{path}` can't be read: {error.strerror}") from error
    if not opening.certificate.signed_by(root):
        raise header_tampered(path.stem, f"has no certificate from `{root.name}` for the key it is signed with")
    return opening


def _wanted(openings: Mapping[str, Opening], saved: Sequence[SignedHead]) -> dict[str, set[int]]:
    """The sizes at which roots are needed, per shard; raises TamperedError for a shard that is missing."""
    wanted: dict[str, set[int]] = {}
    followed: dict[tuple[str, str], str] = {}
    for shard, opening in openings.items():
        previous = opening.previous
        place = (writer_of(shard), "" if previous is None else previous.shard)
        if place in followed:
            raise TamperedError(f"shards {followed[place]} and {shard} both follow the same shard", hint=HINT)
        followed[place] = shard
        if previous is None:
            continue
        if previous.shard not in openings:
            raise TamperedError(f"shard {previous.shard} is missing: {shard} follows it", hint=HINT)
        wanted.setdefault(previous.shard, set()).add(previous.size)
    origins = {opening.certificate.origin: shard for shard, opening in openings.items()}
    for head in saved:
        if head.head.origin not in origins:
            raise TamperedError(f"shard `{head.head.origin}` of the saved checkpoint is missing", hint=HINT)
        wanted.setdefault(origins[head.head.origin], set()).add(head.head.size)
    return wanted


def _check_heads(scan: "Scan", openings: Mapping[str, Opening], saved: Sequence[SignedHead]) -> None:
    """Steps 4 and 5."""
    for shard, opening in openings.items():
        previous = opening.previous
        if previous is None or previous.shard != scan.shard:
            continue
        if scan.tree.size != previous.size:
            what = f"is where it ends, but {shard} follows {previous.size} records"
            raise scan.altered(min(scan.tree.size, previous.size), scan.good, what)
        if b64(scan.roots[previous.size]) != previous.root:
            raise scan.altered(0, 0, f"or a later one is not what {shard} says was here: the shard was replaced")
    for head in saved:
        size = head.head.size
        if size > scan.tree.size:
            what = f"and later are gone: the saved checkpoint has {size} records"
            raise scan.altered(scan.tree.size, scan.good, what)
        if not scan.opening.certificate.key.signed(head.head.body(), head.signature):
            raise scan.altered(0, 0, "names another key than the one that signed the saved checkpoint")
        if scan.roots.get(size) != head.head.root:
            raise scan.altered(0, 0, f"or a later one up to {size - 1} is not what the saved checkpoint covers")
