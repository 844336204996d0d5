"""A password on its way from whoever asked for it: bounded in size and time, one line, shown nowhere."""

import os
import pickle
import socket
from pathlib import Path

import pytest

from remit.persons.typed_password import MAX_BYTES, NothingTypedError, TypedPassword


def typed(said: bytes) -> TypedPassword:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(said)
        ours.close()
        return TypedPassword.read(theirs.fileno(), 1.0)


def kept(password: TypedPassword) -> bytes:
    import ctypes

    memory = ctypes.create_string_buffer(password.size + 1)
    password.copy_to(ctypes.addressof(memory))
    return memory.raw


def test_it_is_what_was_typed_until_it_is_overwritten() -> None:
    password = typed("straße ".encode() * 3)
    assert kept(password) == "straße ".encode() * 3 + b"\0"
    password.overwrite()
    assert password.size == 0
    assert kept(password) == b"\0"
    assert not bytes(password._bytes).strip(b"\0")


def test_it_shows_nothing() -> None:
    password = typed(b"hunter2")
    assert "hunter2" not in repr(password) + str(password) + f"{password}"
    with pytest.raises(TypeError):
        pickle.dumps(password)


@pytest.mark.parametrize(
    "said", [b"two\nlines", b"end\n", b"end\r", b"zero\0", b"\0", b"a" * (MAX_BYTES + 1), b"a" * 100_000]
)
def test_what_can_be_no_password_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match=r"too long|not one line"):
        typed(said)


def test_the_longest_is_taken() -> None:
    assert typed(b"a" * MAX_BYTES).size == MAX_BYTES


def test_nothing_is_no_password() -> None:
    with pytest.raises(NothingTypedError):
        typed(b"")


def test_whoever_never_ends_is_not_waited_for() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"correct")
        with pytest.raises(NothingTypedError):
            TypedPassword.read(reading, 0.05)
    finally:
        os.close(reading)
        os.close(writing)


def test_it_comes_from_no_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of root's")
    with path.open() as file, pytest.raises(ValueError, match="neither a socket nor a pipe"):
        TypedPassword.read(file.fileno(), 1.0)
