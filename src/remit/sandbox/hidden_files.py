"""Model files of other users, through the attestor: their digests, and whether they still are the same."""

import errno
import os
import socket
import threading
import time
from collections import OrderedDict
from typing import Final

from remit import attestor_line as line
from remit.attestor_line import Ask
from remit.identity.attestation.asking import Lines
from remit.identity.attestation.through import named_there
from remit.models.hidden import Hidden, State, see_through

MAX_WATCHED: Final = 512  # a descriptor each
ASK_AGAIN: Final = 2.0  # seconds: a path may lead elsewhere by now, where its file itself stands as it was
HEADS: Final = (*line.KINDS, (2).to_bytes(8, "little") + b"{")
_WHOLE: Final = 1 << 62


class HiddenFiles:
    """`digests` are lines of their own: a large file keeps one busy for minutes. Safe to share between threads."""

    def __init__(self, lines: Lines, digests: Lines | None = None) -> None:
        self._lines, self._digests = lines, digests or lines
        self._watched: OrderedDict[tuple[int, str], _Watched] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, pid: int, path: str) -> Hidden:
        seen, _ = self._ask(self._lines, pid, path, 0)
        return seen

    def state(self, pid: int, path: str) -> State:
        """1 µs while it stands as it did at its last look, which is 40 µs and renewed every two seconds."""
        with self._lock:
            known = self._watched.get((pid, path))
            if known is not None and known.stands(time.monotonic()):
                return known.state
        self._ask(self._lines, pid, path, 0)
        with self._lock:
            return self._watched[pid, path].state

    def digest(self, pid: int, path: str) -> tuple[State, str]:
        seen, sha256 = self._ask(self._digests, pid, path, _WHOLE)
        if sha256 is None:
            raise PermissionError(f"{path} of process {pid} can't be hashed")
        return seen.state, f"sha256:{sha256}"

    def _ask(self, lines: Lines, pid: int, path: str, most: int) -> tuple[Hidden, str | None]:
        facts, fds = lines.ask(Ask.AT_PATH, pid, line.MOST.pack(most) + _as_bytes(path))
        if not fds:
            raise OSError(errno.EMFILE, "no descriptor is left for it")
        kind, facts = facts[0], facts[1:]
        state: State = line.FILE.unpack_from(facts)
        self._watch((pid, path), _Watched(fds[0], state, time.monotonic()))
        there, sha256 = named_there(facts)
        head = HEADS[kind] if kind < len(HEADS) else b""
        return Hidden(state, there, head, regular=kind != line.IRREGULAR[0]), sha256

    def _watch(self, of: tuple[int, str], watched: "_Watched") -> None:
        with self._lock:
            self._watched[of] = watched
            self._watched.move_to_end(of)
            while len(self._watched) > MAX_WATCHED:
                self._watched.popitem(last=False)


class _Watched:
    """A file by name alone (O_PATH), as it was when it was looked at."""

    __slots__ = ("_descriptor", "_looked", "state")

    def __init__(self, descriptor: int, state: State, looked: float) -> None:
        self._descriptor, self.state, self._looked = descriptor, state, looked

    def stands(self, now: float) -> bool:
        status = os.fstat(self._descriptor)
        is_now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return now - self._looked < ASK_AGAIN and is_now == self.state

    def __del__(self) -> None:
        os.close(self._descriptor)


def _as_bytes(path: str) -> bytes:
    """A path that a server named may be none: it must not cost the line."""
    try:
        said = os.fsencode(path)
    except UnicodeEncodeError:
        said = b""
    if not 0 < len(said) <= line.MAX_PATH or b"\0" in said:
        raise OSError(errno.EINVAL, "no path")
    return said


def take_sight(descriptor: int) -> None:
    """See others' model files from now on, over a line to the attestor that is this process's from here on."""
    see_through(HiddenFiles(Lines([socket.socket(fileno=descriptor)])))
