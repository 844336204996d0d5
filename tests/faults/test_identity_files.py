"""The authority's key, and the place of the sockets, when they can't be used: said, with what to do; nothing lost."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remit.config import Places
from remit.errors import StateError
from remit.identity import Authority
from tests.attestation.children import NOBODY, become_nobody, forked
from tests.e2e.conftest import Remit
from tests.faults.test_log_faults import root
from tests.faults.world import processes, running

PORT = 28970


def refused(state: Path) -> tuple[str, str]:
    """What `remit up` says when it does not start, and its hint; it leaves nothing behind."""
    remit = Remit(state)
    try:
        error = remit.event("error")
        assert remit.process.wait(20) == 1
        said = remit.process.stderr.read().decode() if remit.process.stderr else ""
    finally:
        remit.stop()
    assert "Traceback" not in said
    assert not processes(state)
    return error["message"], error["hint"]


def as_nobody(work: Callable[[], Any]) -> str:
    """What an ordinary user is told."""

    def body(line: socket.socket) -> None:
        become_nobody()
        try:
            work()
        except StateError as error:
            line.send(f"{error} | {error.hint}".encode())
        else:
            line.send(b"it was taken")

    with forked(body) as child:
        return child.hear()


@root
@pytest.mark.parametrize(
    ("owner", "mode", "why"),
    [(0, 0o600, "Permission denied | Remit must run as its owner: "), (NOBODY, 0o000, "Permission denied | Remit ")],
    ids=["root's", "mode 000"],
)
def test_a_key_file_that_an_ordinary_user_can_not_read(tmp_path: Path, owner: int, mode: int, why: str) -> None:
    directory, path = tmp_path / "keys", tmp_path / "keys" / "authority.json"
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011) if str(above).startswith("/tmp/") else None
    Authority.open(path, "maple.local", 1_790_000_000.0)
    os.chown(directory, NOBODY, NOBODY)
    os.chown(path, owner, owner)
    path.chmod(mode)
    before = path.read_bytes()
    said = as_nobody(lambda: Authority.open(path, "maple.local", 1_790_000_000.0))
    assert said.startswith(f"can't read `{path}`: ")
    assert why in said
    assert path.read_bytes() == before, "no new keys in place of those that are there"


@root
def test_keys_of_another_user_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "authority.json"
    Authority.open(path, "maple.local", 1_790_000_000.0)
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(StateError, match=f"belongs to uid {NOBODY}") as caught:
        Authority.open(path, "maple.local", 1_790_000_000.0)
    assert "--state DIR" in caught.value.hint


def mounted(path: Path, *options: str) -> None:
    done = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"NO DISK OF ITS OWN: {done.stderr.strip()}")


@root
@pytest.mark.parametrize("below", ["", "run"], ids=["state", "sockets"])
def test_on_a_read_only_disk_it_says_so_and_starts_when_it_is_mended(state: Path, below: str) -> None:
    disk = Places.of(state, {}).run if below else state
    config = (state / "config.toml").read_text()
    disk.mkdir(mode=0o700, parents=True, exist_ok=True)
    mounted(disk, "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs")
    try:
        (state / "config.toml").write_text(config)
        with running(state):
            pass
        mounted(disk, "-o", "remount,ro")
        message, hint = refused(state)
        assert "read-only" in message.lower()
        assert "mount it writable" in hint
        mounted(disk, "-o", "remount,rw")
        with running(state):
            pass
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_file_in_the_place_of_the_workload_api_s_socket_is_left_alone(state: Path) -> None:
    place = Places.of(state, {}).workload_api_socket
    place.parent.mkdir(mode=0o700, parents=True)
    place.write_text("somebody's notes")
    message, hint = refused(state)
    assert message == f"`{place}` is taken by something that is not a socket"
    assert hint == "move it away"
    assert place.read_text() == "somebody's notes"
    place.unlink()


def test_where_the_kernel_takes_no_such_path_the_sockets_are_elsewhere_and_status_says_where(
    state: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    (deep / "config.toml").write_text((state / "config.toml").read_text())
    with running(deep) as remit:
        place = Path(remit.ready["workload_api"])
        assert place.is_socket()
        assert len(os.fsencode(place)) <= 107
        assert not place.is_relative_to(deep)
    assert not place.parent.exists()
