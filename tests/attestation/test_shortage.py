"""Short of descriptors: what can't be looked at now is not taken for something else."""

import os
import resource
import socket

from remit.errors import AttestationError
from remit.identity.attestation import Digests, observe
from tests.attestation.children import forked

SHORT = "Too many open files"


def test_facts_are_whole_or_not_told_however_few_files_may_be_opened() -> None:
    """A workload is known by its executable's digest: without it, it would be taken for its person."""
    whole = observe(os.getpid(), digests=Digests())

    def look(line: socket.socket) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(line.fileno())  # the lowest number that is not taken
        os.close(free)
        for more in range(6):
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, hard))
            try:
                answer = "whole" if observe(whole.pid, digests=Digests()) == whole else "in parts"
            except AttestationError as error:
                answer = "short" if SHORT in str(error) else str(error)
            line.send(answer.encode())

    with forked(look) as child:
        heard = [child.hear() for _ in range(6)]
    assert set(heard) == {"short", "whole"}
    assert heard[-1] == "whole"
