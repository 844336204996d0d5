"""What the kernel does with a filter, step by step: an oracle for `remit.sandbox.seccomp` on either machine."""

import struct
from collections.abc import Sequence

from remit.sandbox.seccomp import Instruction


def run(program: Sequence[Instruction], *, call: int, machine: int, arguments: Sequence[int] = ()) -> int:
    """The action that `program` returns for one system call (`struct seccomp_data`, little-endian)."""
    data = struct.pack("<IIQ6Q", call, machine, 0, *[*arguments, *[0] * 6][:6])
    loaded, at = 0, 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == 0x20:
            loaded = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            loaded &= operand
        elif code == 0x15:
            at += yes if loaded == operand else no
        elif code == 0x35:
            at += yes if loaded >= operand else no
        else:
            assert code == 0x06, code
            return operand
