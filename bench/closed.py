"""`python -m bench.closed PORT WORKER SECONDS`: one closed loop of 64 connections and one of one, as JSON."""

import json
import sys
from dataclasses import asdict

import uvloop

from bench.load import closed_loop
from bench.peers import Peer


def main() -> None:
    port, worker, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    peer = Peer("remit", port, worker)
    rates = [uvloop.run(closed_loop(peer, 64, seconds, warm=0.5)), uvloop.run(closed_loop(peer, 1, seconds / 2))]
    print(json.dumps([asdict(rate) for rate in rates]))


if __name__ == "__main__":
    main()
