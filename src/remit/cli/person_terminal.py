"""A password as proof of a person: this terminal is passed to control, which asks there; nothing is typed here."""

import contextlib
import json
import os
import socket
from typing import Any, Final

from remit.cli.who_answers import check_who_answers
from remit.config import Places
from remit.errors import RemitError, StateError
from remit.identity.attestation.procfs import read_stat
from remit.persons.terminals import Device, TerminalRefusedError

SECONDS: Final = 120.0  # more than a person is given to answer, and the checker after that
ANSWER_BYTES: Final = 64 << 10


class NotProvedError(RemitError):
    """The person did not prove that they act, or could not; `code` is control's word on which family it was."""

    def __init__(self, message: str, *, hint: str = "", code: int = 3) -> None:
        super().__init__(message, hint=hint)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override] # as in AnsweredError
        return self.code


def prove(places: Places, proof_id: str) -> None:
    """Return once the password is typed and right. Raises NotProvedError when it isn't, or nobody can be asked here.

    Blocks, for SECONDS at most.
    """
    terminal = _own_terminal()
    try:
        answer = _answer(places, proof_id, terminal)
    finally:
        os.close(terminal)
    error = answer.get("error")
    if isinstance(error, dict):
        raise NotProvedError(error["message"], hint=error.get("hint", ""), code=int(error.get("exit_code", 3)))


def _own_terminal() -> int:
    """This process's controlling terminal, by its own name: what `/dev/tty` leads to can't be told afterwards."""
    device = Device.of_stat(read_stat(os.getpid()).terminal)
    if device is None:
        raise TerminalRefusedError("this has no terminal", hint="run it in the foreground of a terminal")
    try:
        terminal = os.open(str(device), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise TerminalRefusedError(f"`{device}` can't be used: {error.strerror}", hint="use a terminal") from error
    if Device.of_file(os.fstat(terminal).st_rdev) != device:
        os.close(terminal)
        raise TerminalRefusedError(f"`{device}` is not this terminal", hint="use another one")
    return terminal


def _answer(places: Places, proof_id: str, terminal: int) -> dict[str, Any]:
    path = places.person_socket
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(SECONDS)
        try:
            line.connect(str(path))
            check_who_answers(line, path)
            with contextlib.suppress(BrokenPipeError):  # it may have refused already, and says so
                socket.send_fds(line, [json.dumps({"proof": proof_id}).encode() + b"\n"], [terminal])
            with contextlib.closing(line.makefile("rb")) as said:
                answer: dict[str, Any] = json.loads(said.readline(ANSWER_BYTES))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise StateError("nobody asks for passwords here", hint="that takes system mode") from error
        except (OSError, ValueError) as error:
            raise StateError(f"no answer on `{path}`: {str(error) or type(error).__name__}") from error
    return answer
