"""Make the tries of one family against a target told on standard input; print one JSON object a try."""

import importlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # it is started as a file, by a user who has nothing installed

from tests.system.hostile import kit


def main(family: str) -> None:
    told = json.load(sys.stdin)
    target = kit.Target(told["remit"], Path(told["code"]), Path(told["config"]), told["ready"])
    importlib.import_module(f"tests.system.hostile.{family}")
    for one in kit.TRIES:
        sys.stdout.write(json.dumps(kit.tell(one, target)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
