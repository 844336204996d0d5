"""The command as a program: what its caller's shell sees of it."""

import subprocess
import sys
from pathlib import Path

REMIT = str(Path(sys.executable).with_name("remit"))


def test_a_reader_that_has_enough_is_no_complaint(tmp_path: Path) -> None:
    for arguments in (("--version",), ("doctor", "--json", "--state", str(tmp_path))):
        with subprocess.Popen([REMIT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
            assert command.stdout is not None
            assert command.stderr is not None
            command.stdout.close()
            assert command.stderr.read() == b""
            assert command.wait(20) == 1
