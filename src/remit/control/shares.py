"""Which ways are closed when there are more than can be: each uid has its share, whatever the others open."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice, zip_longest

from remit.control.ways import Around
from remit.sandbox.fence_line import Way

Known = Iterable[tuple[int | None, Around]]
"""The uid of each guarded server, and the ways to it."""


def shares(known: Known, before: Collection[Way], most: int) -> frozenset[Way]:
    """`most` of them, uid by uid in turn. Of one uid those that were closed `before` stay, whatever else it opens.

    So nobody opens another's server, nor an agent its owner's, by listening at more addresses than can be closed.
    """
    of: dict[int | None, list[Around]] = {}
    for uid, one in known:
        of.setdefault(uid, []).append(one)
    turns = zip_longest(*(_in_turn(of[uid], before) for uid in sorted(of, key=str)))
    return frozenset(islice(dict.fromkeys(filter(None, chain.from_iterable(turns))), most))


def _in_turn(servers: Iterable[Around], before: Collection[Way]) -> Iterator[Way]:
    """One uid's: what is closed already, then one of each server after the other, those that it answers at first."""
    rows = zip_longest(*((*sorted(one.own), *sorted(one.inner)) for one in servers))
    every = [way for way in chain.from_iterable(rows) if way is not None]
    yield from sorted(every, key=lambda way: way not in before)
