"""The program of a child that reads one hostile file, its descriptor 0: `python -I -m remit.sandbox.parse NAME`.

It holds no key, no socket and no other file, and answers one JSON on descriptor 1: `{"value": …}`, `{"error": "…"}`.
By the time it sees a byte of the file it can do nothing else: whoever takes it over can but answer wrongly.
"""

import hashlib
import json
import mmap
import os
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from remit.errors import ModelError
from remit.models.gguf import digest_of_templates
from remit.models.manifests import ollama_layers, shards
from remit.sandbox.hardening import close_fds, harden
from remit.sandbox.seccomp import Argument, Deny, Filter

Parser = Callable[[BinaryIO], Any]  # reads forward or seeks; its answer is plain JSON; raises ModelError

PARSERS: Final[Mapping[str, Parser]] = {
    "gguf-template": digest_of_templates,
    "ollama-manifest": ollama_layers,
    "shards-index": shards,
}

MEMORY_BYTES: Final = 512 << 20
CPU_SECONDS: Final = 60  # 4,000,000 elements, the most that a GGUF header may hold, take about 10
_ALL: Final = 0xFFFFFFFFFFFFFFFF

WALLS: Final = Filter(
    allow=frozenset(
        {
            "brk",
            "clock_gettime",
            "close",
            "exit",
            "exit_group",
            "fstat",
            "futex",
            "getrandom",
            "lseek",
            "madvise",
            "munmap",
            "rt_sigprocmask",
            "rt_sigreturn",
            "restart_syscall",
            "sched_yield",
        }
    ),
    only={
        "read": (Argument(0, _ALL, 0),),
        "pread64": (Argument(0, _ALL, 0),),
        "write": (Argument(0, _ALL, 1),),
        "mmap": (Argument(2, mmap.PROT_EXEC, 0), Argument(3, mmap.MAP_ANONYMOUS, mmap.MAP_ANONYMOUS)),
        "mprotect": (Argument(2, mmap.PROT_EXEC, 0),),
        "mremap": (Argument(3, ~3 & _ALL, 0),),
    },
    deny_with=Deny.KILL_PROCESS,
)


def answer(parsers: Mapping[str, Parser], name: str) -> None:
    """Read descriptor 0 with parser `name` behind walls, write its answer, and end."""
    parser = parsers[name]
    file = os.fdopen(0, "rb", closefd=False)
    hashlib.sha256(b"")  # OpenSSL reads its configuration at the first digest
    wall_in()
    try:
        said = {"value": parser(file)}
    except ModelError as error:
        said = {"error": str(error)}
    left = memoryview(json.dumps(said).encode())
    while left:
        left = left[os.write(1, left) :]
    os._exit(0)  # an orderly end would run what the file may have left behind


def wall_in() -> None:
    """Give up every way out but descriptors 0 and 1. There is no way back."""
    harden(die_with_parent=True)
    close_fds({0, 1})
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    WALLS.apply()


if __name__ == "__main__":
    answer(PARSERS, sys.argv[1])
