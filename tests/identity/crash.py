"""Rotations killed at every line: `python -m tests.identity.crash DIRECTORY`.

For each step of a rotation, a child process that saves it kills itself (SIGKILL) at the first line of the saving, the
next one at the second, and so on until one lives to the end. What each left behind is one JSON line.
"""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from remit.identity import Authority
from remit.identity.rotation import PACE, turn
from tests.identity.forge import NOW

HALF = NOW + PACE.life / 2
MOMENTS = (HALF, HALF + PACE.published, HALF + PACE.published + PACE.kept)
FILES = ("private_file.py", "authority.py")


def kids(authority: Authority) -> list[str]:
    return [key["kid"] for key in authority.bundle().jwt_keys]


def die_at(line: int) -> None:
    """Kill this process when it comes to its `line`-th line of the files that save."""
    left = line

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename.endswith(FILES):
            left -= event == "line"
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def killed(path: Path, after: Authority, line: int) -> bool:
    pid = os.fork()
    if pid == 0:
        die_at(line)
        after.save(path)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def main(directory: Path) -> None:
    path = directory / "authority.json"
    before = Authority.open(path, "example.org", NOW)
    for moment in MOMENTS:
        done = turn(before, moment)
        assert done is not None
        step, after = done
        line, dead = 0, True
        while dead:
            before.save(path)
            dead = killed(path, after, line)
            left = [entry.name for entry in directory.iterdir()]
            found = Authority.open(path, "example.org", moment)
            cleared = [entry.name for entry in directory.iterdir()]
            row = {"step": step, "line": line, "killed": dead, "left": len(left), "cleared": cleared}
            print(json.dumps(row | {"found": kids(found), "before": kids(before), "after": kids(after)}))
            line += 1
        before = after


if __name__ == "__main__":
    main(Path(sys.argv[1]))
