"""Make one try against a target told on standard input; print its claim; take it back when the next line comes."""

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # it is started as a file, by a user who has nothing installed

from tests.system.hostile import FAMILIES, kit


def main(name: str) -> None:
    os.setsid()  # what it starts and forgets is ended with it
    told = json.loads(sys.stdin.readline())
    target = kit.Target(told["remit"], Path(told["code"]), Path(told["config"]), told["ready"])
    for family in FAMILIES:
        importlib.import_module(f"tests.system.hostile.{family}")
    claim, why, afterwards = kit.begin(kit.TRIES[name], target)
    sys.stdout.write(json.dumps({"claim": claim, "why": why, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()  # judged
    if afterwards is not None:
        with contextlib.suppress(OSError):
            next(afterwards, None)


if __name__ == "__main__":
    main(sys.argv[1])
