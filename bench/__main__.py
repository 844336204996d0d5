"""`python -m bench [PART …] [--quick]`: measures, prints, and writes the figures into docs/performance.md."""

import argparse
import importlib
import os
import sys
from typing import Final

from bench.report import Part, machine, write

PARTS: Final = {
    "gateway": "bench.gateway",
    "stream": "bench.stream",
    "decide": "bench.decisions",
    "audit": "bench.records",
    "memory": "bench.memory",
    "help": "bench.cli",
    "weights": "bench.weights",
    "svids": "bench.svids",
    "fetch": "bench.fetch",
    "attest": "bench.loopback",
    "registry": "bench.registry",
    "attestor": "bench.attestor",
    "system": "bench.system",
    "person": "bench.person_session",
    "provenance": "bench.provenance",
    "replay": "bench.replay",
    "grants": "bench.grants",
    "authzen": "bench.authzen",
    "ext_authz": "bench.ext_authz",
    "agentdojo": "bench.agentdojo.report",
    "detail": "bench.detail",
}
BUSY: Final = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "all"], default="all", help="what to measure (all)")
    parser.add_argument("--quick", action="store_true", help="shorter rounds: for a look, not for the record")
    parser.add_argument("--dry", action="store_true", help="print only, leave docs/performance.md alone")
    options = parser.parse_args()
    wanted = list(PARTS) if "all" in options.parts else options.parts
    print(machine(), file=sys.stderr)
    if os.getloadavg()[0] > BUSY:
        print("this machine is busy with other things: the figures will be worse than they could be", file=sys.stderr)
    for name in wanted:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        part: Part = importlib.import_module(PARTS[name]).run(options.quick)
        command = f"python -m bench {name}{' --quick' if options.quick else ''}"
        print(f"\n## {name}\n\n{part.text(command)}\n", flush=True)
        if not options.dry:
            write(part, command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
