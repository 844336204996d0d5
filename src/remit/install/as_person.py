"""A child of root's that becomes a person first: what they keep is read and renamed with their rights, not root's.

So a link that they, or a program of theirs, laid there leads to nothing that they could not read themselves, and
their database is parsed by nobody with more rights than theirs. For a process with one thread.
"""

import contextlib
import json
import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from io import BufferedRWPair
from pathlib import Path
from typing import Any, Final

from remit.errors import RemitError, StateError
from remit.sandbox.hardening import close_fds, harden

CHUNK: Final = 1 << 20
MAX_LINE: Final = 1 << 26  # what is told at once: people, workloads and policies
_GONE: Final = "the child that reads as {} ended"

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any] | Path]
"""What the child does when asked: a fact sheet, or the path of a file whose bytes are the answer."""


class Asking:
    """The parent's end: one question at a time."""

    def __init__(self, line: socket.socket, name: str) -> None:
        self._file = line.makefile("rwb")
        self._name = name

    def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """Its answer; raises StateError with what the child could not do."""
        try:
            self._file.write(json.dumps({"ask": what, **more}).encode() + b"\n")
            self._file.flush()
            line = self._file.readline(MAX_LINE)
        except OSError as error:
            raise StateError(f"{_GONE.format(self._name)}: {error.strerror}") from error
        if not line.endswith(b"\n"):
            raise StateError(_GONE.format(self._name))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise StateError(_printable(answer["error"]), hint=_printable(answer["hint"]))
        return answer

    def copy(self, into: Path, what: str, **more: Any) -> int:
        """Write the file that is the answer to `into`, new and durably; its length in bytes."""
        left = size = int(self.ask(what, **more)["size"])
        with os.fdopen(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            while left:
                data = self._file.read(min(left, CHUNK))
                if not data:
                    raise StateError(_GONE.format(self._name))
                file.write(data)
                left -= len(data)
            file.flush()
            os.fsync(file.fileno())
        return size

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


def _printable(text: Any) -> str:
    """Names that the person gave their files may not move root's cursor."""
    return "".join(one if one.isprintable() else "?" for one in str(text))


@contextlib.contextmanager
def asking(person: pwd.struct_passwd, answer: Answer) -> Iterator[Asking]:
    """A child that is `person` and answers until this ends, or whoever started it does."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        _be(person, theirs, answer)
    theirs.close()
    line = Asking(ours, person.pw_name)
    ours.close()  # its file holds it
    try:
        yield line
    finally:
        line.close()
        os.waitpid(child, 0)


def _be(person: pwd.struct_passwd, line: socket.socket, answer: Answer) -> None:
    """The child: it ends here, whatever happens."""
    status = 1
    try:
        close_fds({0, 1, 2, line.fileno()})
        if os.geteuid() == 0 and person.pw_uid != 0:
            os.initgroups(person.pw_name, person.pw_gid)
            os.setresgid(person.pw_gid, person.pw_gid, person.pw_gid)
            os.setresuid(person.pw_uid, person.pw_uid, person.pw_uid)
        os.umask(0o077)
        harden()
        _serve(line, answer)
        status = 0
    finally:
        os._exit(status)


def _serve(line: socket.socket, answer: Answer) -> None:
    with line.makefile("rwb") as file:
        while question := file.readline(MAX_LINE):
            try:
                said = answer(json.loads(question))
                _send(file, said) if isinstance(said, Path) else _tell(file, said)
            except RemitError as error:
                _tell(file, {"error": str(error), "hint": error.hint})
            except OSError as error:
                _tell(file, {"error": f"`{error.filename}` can't be used: {error.strerror}", "hint": ""})
            file.flush()


def _tell(file: BufferedRWPair, said: Mapping[str, Any]) -> None:
    file.write(json.dumps(said).encode() + b"\n")


def _send(file: BufferedRWPair, path: Path) -> None:
    """The length that it has now, and as many bytes of it."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as source:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise StateError(f"`{path}` is no plain file")
        _tell(file, {"size": facts.st_size})
        left = facts.st_size
        while left and (data := source.read(min(left, CHUNK))):
            file.write(data)
            left -= len(data)
        if left:
            raise OSError(5, "it became shorter while it was read", str(path))
