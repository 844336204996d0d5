"""Who has a terminal open, asked of the attestor: whoever has could read what is typed there."""

import errno
import struct
from dataclasses import dataclass

from remit import attestor_line as line
from remit.errors import AttestationError
from remit.identity.attestation.asking import GoneError, Lines
from remit.identity.attestation.descriptors import Budget
from remit.identity.attestation.holders import MAX_DESCRIPTORS, processes

_VANISHED = frozenset({errno.ENOENT, errno.ESRCH})


@dataclass(frozen=True, slots=True)
class Opened:
    """The processes that have one terminal open, those that have some `/dev/tty`, which may be that one, and those
    of which it can't be told.
    """

    pids: frozenset[int]
    some: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()


def opened(lines: Lines, device: int, inode: int) -> Opened:
    """Of all processes in view, of the terminal whose file that is. Blocks for a walk.

    Raises AttestationError when there are too many open files, and without the attestor.
    """
    left, budget = processes(), Budget(MAX_DESCRIPTORS)
    pids: set[int] = set()
    some: set[int] = set()
    hidden: set[int] = set()
    while left:
        asked = left[: line.MAX_PIDS]
        head = line.SEARCH.pack(line.EVERY_THREAD | line.TERMINAL, budget.left, 2, len(asked))
        facts = _answer(lines, head + struct.pack(f"=2Q{len(asked)}i", device, inode, *asked))
        done, spent = line.FOUND.unpack_from(facts)
        budget.spend(spent)
        left = left[done:]
        for pid, code, how in line.holders(facts):
            hidden |= {pid} if code and code not in _VANISHED else set()
            pids |= {pid} if line.OPEN in how else set()
            some |= {pid} if line.SOME_TERMINAL in how else set()
    return Opened(frozenset(pids), frozenset(some), frozenset(hidden))


def _answer(lines: Lines, question: bytes) -> bytes:
    try:
        return lines.ask(line.Ask.HELD, 0, question)[0]
    except GoneError as error:
        raise AttestationError("the attestor is gone: nobody can tell who has a terminal open") from error
