"""What it costs to know a caller: lookup, inline search, the re-check at each request, and the exhaustive walk.

Run: `python bench/attestation.py [--processes 300] [--rounds 2000]`. Prints µs, first among the processes that run
now, then among that many more sleeping ones, all newer than the client: the worst case for "newest first".
"""

import argparse
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from remit.identity.attestation import Memory, attest_tcp, exhaustive, lookup

MAX_PROCESSES = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=300, help="sleeping processes to add")
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    added = min(options.processes, MAX_PROCESSES)
    with socket.create_server(("127.0.0.1", 0)) as listener, client_of(listener) as accepted:
        measure(accepted, options.rounds)
        with sleeping(added):
            measure(accepted, options.rounds)


def measure(accepted: socket.socket, rounds: int) -> None:
    ends = accepted.getpeername(), accepted.getsockname()
    facts = lookup(*ends)
    known = Memory()
    attest_tcp(*ends, memory=known).close()
    count = sum(name.isdigit() for name in os.listdir("/proc"))
    print(f"{count} processes                        p50 µs    p99 µs")
    report("lookup in the socket table", rounds, lambda: lookup(*ends))
    report("attest_tcp, cached pid", rounds // 4, lambda: attest_tcp(*ends, memory=known).close())
    report("attest_tcp, newest first", rounds // 4, lambda: attest_tcp(*ends).close())
    with attest_tcp(*ends, memory=known) as caller:
        report("still, at every request", rounds * 5, caller.still)
        report("finish_walk", rounds // 40, caller.finish_walk)
    report("exhaustive walk alone", rounds // 40, lambda: exhaustive(facts.inode))


def report(what: str, rounds: int, call: Callable[[], object]) -> None:
    spent = []
    for _ in range(max(rounds, 10)):
        begin = time.perf_counter()
        call()
        spent.append((time.perf_counter() - begin) * 1e6)
    spent.sort()
    print(f"  {what:34} {spent[len(spent) // 2]:10.1f} {spent[len(spent) * 99 // 100]:9.1f}")


@contextmanager
def client_of(listener: socket.socket) -> Iterator[socket.socket]:
    """The server's end of a connection that another process made."""
    pid = os.fork()
    if pid == 0:
        listener_address = listener.getsockname()
        listener.close()
        with socket.create_connection(listener_address):
            signal.pause()
        os._exit(0)
    try:
        with listener.accept()[0] as accepted:
            yield accepted
    finally:
        end([pid])


@contextmanager
def sleeping(count: int) -> Iterator[None]:
    pids: list[int] = []
    try:
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                os.closerange(3, 256)
                os.execv("/bin/sleep", ["sleep", "600"])
            pids.append(pid)
        time.sleep(0.5)
        yield
    finally:
        end(pids)


def end(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
