"""Where the Workload API listens: a path that nobody else has, private from the first moment."""

import os
import socket
from pathlib import Path

import pytest

from remit.errors import StateError
from remit.identity.peer import PeerCredentials
from remit.identity.unix_socket import MAX_PATH_BYTES, ListeningSocket


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_its_file_has_the_mode_asked_for_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    for umask in (0o022, 0o077, 0):
        before = os.umask(umask)
        try:
            listening = ListeningSocket.bind(tmp_path / "api.sock", mode)
        finally:
            os.umask(before)
        assert (tmp_path / "api.sock").stat().st_mode & 0o777 == mode
        listening.remove()
        assert not (tmp_path / "api.sock").exists()


def test_the_peer_is_who_the_kernel_says(tmp_path: Path) -> None:
    listening = ListeningSocket.bind(tmp_path / "api.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "api.sock"))
        listening.socket.setblocking(True)
        accepted, _ = listening.socket.accept()
        with accepted:
            assert PeerCredentials.of(accepted) == PeerCredentials(os.getpid(), os.getuid(), os.getgid())
    listening.remove()


def test_a_path_that_the_kernel_can_not_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("a" * MAX_PATH_BYTES)
    with pytest.raises(StateError, match="longer than 107 bytes"):
        ListeningSocket.bind(path)


def test_a_path_as_long_as_the_kernel_can_hold_works(tmp_path: Path) -> None:
    path = tmp_path / ("a" * (MAX_PATH_BYTES - len(os.fsencode(tmp_path)) - 1))
    ListeningSocket.bind(path).remove()


def test_a_server_that_answers_keeps_its_path(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    first = ListeningSocket.bind(path)
    with pytest.raises(StateError, match="another server answers"):
        ListeningSocket.bind(path)
    assert path.is_socket()
    first.remove()


def test_a_server_too_busy_to_answer_keeps_its_path(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as queued:
        busy.bind(str(path))
        busy.listen(0)
        queued.connect(str(path))
        with pytest.raises(StateError, match="another server answers"):
            ListeningSocket.bind(path)


def test_a_socket_that_nobody_answers_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listening = ListeningSocket.bind(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listening.remove()


def test_a_file_of_somebody_elses_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("mine")
    with pytest.raises(StateError, match="not a socket"):
        ListeningSocket.bind(path)
    assert path.read_text() == "mine"


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    first = ListeningSocket.bind(path)
    path.unlink()
    second = ListeningSocket.bind(path)
    first.remove()
    assert path.is_socket()
    second.remove()
    second.remove()


def test_a_directory_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="No such file"):
        ListeningSocket.bind(tmp_path / "nowhere" / "api.sock")
