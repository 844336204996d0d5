"""Which other sockets a guarded server's processes listen on: an Ollama asks its runners there, as others could."""

from collections.abc import Iterable
from typing import Final

from remit.errors import AttestationError
from remit.identity.attestation import Listener
from remit.identity.attestation.procfs import read_stat
from remit.inventory import Workload
from remit.inventory.listening import holders_of

MOST_PARENTS: Final = 64


class InnerSockets:
    """Looks at who holds sockets only when other ones listen than before: that is a walk of `/proc`."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[int, ...]] = {}

    def look(self, there: Iterable[Listener], workloads: Iterable[Workload]) -> None:
        """Of the uids of these workloads' processes. Raises AttestationError when the machine can't be looked at."""
        uids = {one.uid for one in workloads if one.pid is not None}
        inodes = {one.inode for one in there if one.uid in uids and one.inode}
        if inodes != self._held.keys():
            held = holders_of(inodes)
            self._held = {inode: held.get(inode, ()) for inode in inodes}

    def below(self, workload: Workload, listener: Listener) -> bool:
        """Whether the server's process, or one that it started, holds this socket."""
        return any(_descends(pid, workload.pid) for pid in self._held.get(listener.inode, ()))


def _descends(pid: int, above: int | None) -> bool:
    """Whether `above` is `pid` or one of its parents; not of one that has ended meanwhile."""
    for _ in range(MOST_PARENTS):
        if pid == above:
            return True
        try:
            pid = read_stat(pid).parent
        except AttestationError:
            return False
        if pid <= 1:
            return False
    return False
