"""Short of descriptors: what can't be looked at now is not taken for something else."""

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

from remit.errors import AttestationError
from remit.identity.attestation import Digests, observe, proc_net
from tests.attestation.children import forked

SHORT = "Too many open files"
TRIED = 24  # one directory of the path to a script after the other is opened


def test_a_socket_table_that_can_t_be_opened_says_why_in_the_same_words() -> None:
    def read(line: socket.socket) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            proc_net.read_table("tcp")
        except AttestationError as error:
            line.send(str(error).encode())

    with forked(read) as child:
        assert child.hear() == f"who is calling can't be found out now: {SHORT}"


def test_facts_are_whole_or_not_told_however_few_files_may_be_opened(tmp_path: Path) -> None:
    """A workload is known by the digest of its executable or script: without it, it would be its person."""
    script = tmp_path / "agent.py"
    script.write_text("print('up', flush=True); input()")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdin=pipe, stdout=pipe) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"up\n"

        def look(line: socket.socket) -> None:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            free = os.dup(line.fileno())  # the lowest number that is not taken
            os.close(free)
            for more in range(TRIED):
                resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, hard))
                try:
                    seen = observe(agent.pid, digests=Digests()).script
                    answer = "whole" if seen is not None and seen.sha256 is not None else "in parts"
                except AttestationError as error:
                    answer = "short" if SHORT in str(error) else str(error)
                line.send(answer.encode())

        with forked(look) as child:
            heard = [child.hear() for _ in range(TRIED)]
        agent.communicate(b"\n")
    assert set(heard) == {"short", "whole"}
    assert heard[-1] == "whole"
