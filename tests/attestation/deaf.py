"""`deaf.py DIR NAME INODE`: keeps the one file of a file system open that never says what that file is (FUSE, root).

Everybody may ask it (`allow_other`), as of what root mounts. In a mount namespace of its own: it ends with this.
"""

import ctypes
import os
import struct
import sys
from pathlib import Path
from typing import Final

GETATTR: Final = 3  # linux/fuse.h, as the numbers below
NEW_MOUNTS, PRIVATE = 0x20000, 0x44000
DIRECTORY, FILE = 0o40755, 0o100666
LIBC: Final = ctypes.CDLL(None, use_errno=True)


def attributes(inode: int, mode: int) -> bytes:
    return struct.pack("=6Q3I7I", inode, *[0] * 8, mode, 1, 0, 0, 0, 512, 0)


def answer(asked: int, node: int, inode: int) -> bytes | None:
    """None: none at all."""
    for_an_hour = struct.pack("=Q2I", 3600, 0, 0)
    match asked:
        case 26:  # INIT
            return struct.pack("=4I2H2I2H8I", 7, 31, 0, 0, 16, 12, 4096, 1, 0, 0, *[0] * 8)
        case 1:  # LOOKUP: what it is counts for no time
            return struct.pack("=4Q2I", inode, 0, 3600, 0, 0, 0) + attributes(inode, FILE)
        case 3 if node == 1:  # GETATTR, of the directory
            return for_an_hour + attributes(1, DIRECTORY)
        case 14:  # OPEN
            return struct.pack("=Q2I", 1, 0, 0)
        case 18 | 25:  # RELEASE, FLUSH
            return b""
    return None


def serve(device: int, inode: int) -> None:
    while True:
        said = os.read(device, 1 << 17)
        _, asked, unique, node = struct.unpack_from("=IIQQ", said)
        if asked == GETATTR and node != 1:
            print("asked", flush=True)
        if (told := answer(asked, node, inode)) is not None:
            os.write(device, struct.pack("=IiQ", 16 + len(told), 0, unique) + told)


def main() -> None:
    place, name, inode = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
    failed = LIBC.unshare(NEW_MOUNTS) or LIBC.mount(b"none", b"/", None, PRIVATE, None)
    if failed or LIBC.mount(b"deaf", os.fsencode(place), b"fuse", 0, options):
        sys.exit(os.strerror(ctypes.get_errno()))
    if os.fork():
        serve(device, inode)
    os.close(device)
    os.open(place / name, os.O_RDONLY)
    print(os.getpid(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
