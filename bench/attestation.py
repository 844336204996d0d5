"""What it costs to know a caller: lookup, inline search, the re-check at each request, and the exhaustive walk.

Run: `python -m bench.attestation [--processes 300] [--rounds 2000]`. Prints µs, first among the processes that run
now, then among that many more sleeping ones, all newer than the client: the worst case for "newest first"; at last
what many connections of one process cost together.
"""

import argparse
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from remit.identity.attestation import Arrivals, Memory, attest_tcp, exhaustive, lookup

MAX_PROCESSES = 5000
Ends = tuple[tuple[str, int], tuple[str, int]]
CROWD = 64  # connections of one process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=300, help="sleeping processes to add")
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    added = min(options.processes, MAX_PROCESSES)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with client_of(listener, 1) as [accepted]:
            measure(accepted, options.rounds)
            with sleeping(added):
                measure(accepted, options.rounds)
        with client_of(listener, CROWD) as crowd:
            measure_crowd(crowd, options.rounds)


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


def measure_crowd(accepted: list[socket.socket], rounds: int) -> None:
    ends = [(one.getpeername(), one.getsockname()) for one in accepted]
    with ThreadPoolExecutor(2) as threads:
        arrivals = Arrivals(threads)
        print(f"{CROWD} connections of one process        p50 µs    p99 µs")
        report("attested at once, all of them", rounds // 40, lambda: attest_all(arrivals, ends))


def attest_all(arrivals: Arrivals, crowd: list[Ends]) -> None:
    for answer in [arrivals.attest(*ends) for ends in crowd]:
        answer.result().close()


def report(what: str, rounds: int, call: Callable[[], object]) -> None:
    spent = []
    for _ in range(max(rounds, 10)):
        begin = time.perf_counter()
        call()
        spent.append((time.perf_counter() - begin) * 1e6)
    spent.sort()
    print(f"  {what:34} {spent[len(spent) // 2]:10.1f} {spent[len(spent) * 99 // 100]:9.1f}")


@contextmanager
def client_of(listener: socket.socket, count: int) -> Iterator[list[socket.socket]]:
    """The server's ends of connections that another process made."""
    pid = os.fork()
    if pid == 0:
        listener_address = listener.getsockname()
        listener.close()
        held = [socket.create_connection(listener_address) for _ in range(count)]
        signal.pause()
        os._exit(len(held))
    accepted = []
    try:
        accepted += [listener.accept()[0] for _ in range(count)]
        yield accepted
    finally:
        end([pid])
        for one in accepted:
            one.close()


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
