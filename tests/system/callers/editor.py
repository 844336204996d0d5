"""An editor with one extension host: that is the same program again, calls itself, and starts a tool that calls."""

import runpy
import subprocess
import sys
from pathlib import Path

CALL = str(Path(__file__).with_name("call.py"))


def main() -> None:
    if "--type=extensionHost" not in sys.argv:
        subprocess.run([sys.executable, __file__, "--type=extensionHost", *sys.argv[1:]], check=True)
        return
    arguments = [one for one in sys.argv[1:] if one != "--type=extensionHost"]
    sys.argv = [CALL, *arguments]
    runpy.run_path(CALL, run_name="__main__")  # the extension's own code, in the host's own process
    subprocess.run(["/usr/bin/python3", CALL, *arguments, "--wait"], check=True)


if __name__ == "__main__":
    main()
