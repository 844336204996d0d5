"""Hardening, proved from outside: what another process of the same uid can read, and what the kernel says."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534
SECRET = "s3cret-in-environ"

BECOME = (  # ordinary users, since root may read everything; and dumpable again, which a change of uid undoes
    "import os, ctypes, sys; from remit.sandbox import harden\n"
    "if os.geteuid() == 0 and sys.argv[1] == 'ordinary':\n"
    f"    os.setgroups([]); os.setresgid(*3 * [{NOBODY}]); os.setresuid(*3 * [{NOBODY}])\n"
    "    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"
)
HARDENED = BECOME + "harden(die_with_parent=True); print('hard', flush=True); input()"
SOFT = BECOME + "print('soft', flush=True); input()"
CORE_LIMIT = "Max core file size        0                    0"


@contextmanager
def _child(program: str, who: str = "same") -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program, who],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"TOKEN": SECRET},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def _read(path: str) -> str:
    """`path`, read by another process of the children's uid."""
    ids: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(["cat", path], capture_output=True, text=True, check=False, timeout=10, **ids)
    return str(done.stdout + done.stderr)


@pytest.mark.parametrize("name", ["environ", "maps", "mem", "exe"])
def test_a_process_of_the_same_uid_can_read_nothing_of_it(name: str) -> None:
    with _child(SOFT, "ordinary") as soft, _child(HARDENED, "ordinary") as hard:
        if name == "environ":
            assert SECRET in _read(f"/proc/{soft.pid}/environ")  # the check can fail
        assert "Permission denied" in _read(f"/proc/{hard.pid}/{name}")


def test_it_leaves_no_core_and_gets_no_privileges() -> None:
    with _child(HARDENED) as hard:
        assert CORE_LIMIT in Path(f"/proc/{hard.pid}/limits").read_text()
        assert "NoNewPrivs:\t1" in Path(f"/proc/{hard.pid}/status").read_text()
        hard.send_signal(signal.SIGSEGV)
        hard.wait(10)
        assert hard.returncode == -signal.SIGSEGV


def test_its_children_have_a_hard_core_limit_too() -> None:
    program = (
        "import subprocess; from remit.sandbox import harden; harden(); subprocess.run(['cat', '/proc/self/limits'])"
    )
    limits = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    assert CORE_LIMIT in limits


def test_it_dies_with_its_parent() -> None:
    middle = (
        "import subprocess, sys, os, signal\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-c', {HARDENED!r}, 'same'],\n"
        "    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline(); print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen([sys.executable, "-I", "-c", middle], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        assert select.select([descriptor], [], [], 10)[0]
        os.close(descriptor)


def test_close_fds_keeps_only_what_it_is_told() -> None:
    program = (
        "import os; from remit.sandbox import close_fds\n"
        "kept, dropped = os.pipe(), os.pipe()\n"
        "close_fds({0, 1, 2, *kept})\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1] == [0, 1, 2, *kept], dropped)\n"
    )
    out = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.startswith("True")
