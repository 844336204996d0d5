"""Starting on a machine where somebody holds more files open than can be looked through: anybody could."""

import asyncio
import contextlib
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.errors import DiscoveryError
from remit.identity.attestation.holders import MAX_DESCRIPTORS
from tests.control.test_guards import a_world

MOST = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
CHILDREN = MAX_DESCRIPTORS // max(1, MOST - 100) + 2
# One descriptor, under as many numbers as the kernel gives, in each of some children; they end with their input.
HOARD = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]),) * 2)
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        try:
            while True:
                os.dup(0)
        except OSError:
            os.write(1, b".")
        sys.stdin.read()
        os._exit(0)
sys.stdin.read()
"""


@contextlib.contextmanager
def hoarding() -> Iterator[None]:
    command = [sys.executable, "-I", "-c", HOARD, str(CHILDREN), str(MOST)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(CHILDREN) == b"." * CHILDREN
        yield
        process.stdin.close()


@pytest.mark.long  # 30 s: a million descriptors are looked through twice
@pytest.mark.skipif(CHILDREN > 100, reason="one process may hold too few files open here")
def test_too_many_open_files_keep_nobody_from_starting(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            with pytest.raises(DiscoveryError):
                await world.guards.look()
            looked = await world.guards.first_look()
            assert looked.found == ()
            assert "can't be looked at" in looked.unread[0]

    with hoarding():
        asyncio.run(main())
