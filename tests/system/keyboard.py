"""A program that holds a terminal's other end, as tmux or an agent does: its input is typed, its output shown.

`keyboard.py COMMAND …`: the command leads a session of its own on a new pseudo-terminal, and is in its foreground.
"""

import contextlib
import fcntl
import os
import pty
import select
import struct
import sys
import termios


def main(command: list[str]) -> int:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("=4H", 50, 120, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        os.closerange(3, 256)
        os.environ.pop("PYTHONHOME", None)
        os.execvp(command[0], command)
    os.close(slave)
    with contextlib.suppress(OSError):
        pour(master)
    return 0


def pour(master: int) -> None:
    while True:
        ready = select.select([0, master], [], [])[0]
        if master in ready:
            os.write(1, os.read(master, 4096))
        if 0 in ready:
            typed = os.read(0, 4096)
            if not typed:
                return
            os.write(master, typed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
