"""The checker of passwords: alone may read what they are checked against, and answers nothing but right or wrong.

`python -I -m remit.persons.checker --line FD`: questions come on FD (`checker_line.py`), each with a descriptor that
the password is read from. Started by root, it stays uid 0 and holds no capability: PAM needs the owner of /etc/shadow
and no more. It opens no file for writing and no socket, starts no program, signals nobody. Each check is a child's,
so that no PAM module sees two passwords, and has bounded time. Wrong ones make their account wait, whoever asks.
"""

import argparse
import os
import pwd
import resource
import select
import signal
import socket
import sys
import syslog
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NoReturn

from remit.persons.checker_line import MAX_MESSAGE, Answer, Outcome, Question
from remit.persons.checker_walls import DIRECTORIES, PARENT, WALLS
from remit.persons.lockout import Lockout
from remit.persons.pam import Pam
from remit.persons.typed_password import NothingTypedError, TypedPassword
from remit.sandbox import capabilities
from remit.sandbox.hardening import close_fds, harden
from remit.sandbox.landlock import only_read

SERVICE: Final = "remit"  # /etc/pam.d/remit; PAM's `other` where there is none
PASSWORD_SECONDS: Final = 10.0  # until all of it has come
CHECK_SECONDS: Final = 10  # what PAM may take after that; a wrong one takes it about 2
AT_ONCE: Final = 4
MEMORY_BYTES: Final = 512 << 20
_FILES: Final = 64
_OUTCOMES: Final = {int(one): one for one in Outcome}


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    pidfd: int
    question: Question


@dataclass(slots=True)
class Checker:
    """The loop: questions from `line`, a child for each, its end for an answer."""

    line: socket.socket
    pam: Pam | None
    lockout: Lockout = field(default_factory=Lockout)
    _children: dict[int, _Child] = field(default_factory=dict)  # by pidfd

    def run(self) -> None:
        """Until the line is closed; raises ValueError when what comes is no question."""
        while True:
            watched = select.poll()
            for descriptor in (self.line.fileno(), *self._children):
                watched.register(descriptor, select.POLLIN)
            for descriptor, _ in watched.poll():
                if descriptor != self.line.fileno():
                    self._ended(self._children.pop(descriptor))
                elif not self._asked():
                    return

    def _asked(self) -> bool:
        said, handed, _, _ = socket.recv_fds(self.line, MAX_MESSAGE, 4, socket.MSG_CMSG_CLOEXEC)
        try:
            if not said:
                return False
            question = Question.parse(said)
            if len(handed) != 1:
                raise ValueError("a question comes with one descriptor")
            self._begin(question, handed[0])
        finally:
            for descriptor in handed:
                os.close(descriptor)
        return True

    def _begin(self, question: Question, password_from: int) -> None:
        wait = self.lockout.wait(question.uid, time.monotonic())
        if wait > 0:
            self._say(question, Outcome.WAIT, wait)
        elif len(self._children) >= AT_ONCE or question.uid in {one.question.uid for one in self._children.values()}:
            self._say(question, Outcome.BUSY)
        elif pid := os.fork():
            child = _Child(pid, os.pidfd_open(pid), question)
            self._children[child.pidfd] = child
        else:
            _end(self.line, self.pam, question, password_from)

    def _ended(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        os.close(child.pidfd)
        outcome = _OUTCOMES.get(os.waitstatus_to_exitcode(status), Outcome.BROKEN)
        wait = 0.0
        if outcome.guessed:
            wait = self.lockout.wrong(child.question.uid, time.monotonic())
        elif outcome is Outcome.RIGHT:
            self.lockout.right(child.question.uid)
        self._say(child.question, outcome, wait)

    def _say(self, question: Question, outcome: Outcome, wait: float = 0.0) -> None:
        self.line.send(Answer(question.id, outcome, wait).to_bytes())


def _end(line: socket.socket, pam: Pam | None, question: Question, password_from: int) -> NoReturn:
    """A child's whole life; its exit status is how it went, and all that ever leaves it."""
    outcome = Outcome.BROKEN
    try:
        line.close()
        WALLS.apply()
        outcome = _checked(pam, question, password_from)
    finally:
        os._exit(outcome)


def _checked(pam: Pam | None, question: Question, password_from: int) -> Outcome:
    if pam is None:
        return Outcome.BROKEN
    try:
        if pwd.getpwnam(question.name).pw_uid != question.uid:
            return Outcome.NO_ACCOUNT
        password = TypedPassword.read(password_from, PASSWORD_SECONDS)
    except KeyError:
        return Outcome.NO_ACCOUNT
    except NothingTypedError:
        return Outcome.NOTHING
    except (ValueError, OSError):
        return Outcome.UNUSABLE
    signal.alarm(CHECK_SECONDS)  # ends it: its default action
    try:
        return pam.check(SERVICE, question.name, password)
    finally:
        password.overwrite()


def _loaded() -> Pam | None:
    """None where there is no PAM: then no password is right."""
    try:
        return Pam()
    except OSError:
        return None


def main() -> int:
    """Give up all but the uid, then answer until the line is closed.

    1. nothing open but the line; no capability, no new privileges, no core, nothing to be read from outside
    2. what is needed later and can't be had then: the C library's line to syslog, PAM itself
    3. bounds, and the walls
    """
    parser = argparse.ArgumentParser(prog="remit.persons.checker")
    parser.add_argument("--line", type=int, required=True)
    descriptor = parser.parse_args().line
    # 1
    close_fds({0, 1, 2, descriptor})
    capabilities.drop_all()
    harden()
    # 2
    syslog.openlog("remit", syslog.LOG_NDELAY | syslog.LOG_PID, syslog.LOG_AUTHPRIV)
    pam = _loaded()
    with suppress(KeyError):
        pwd.getpwnam("remit")
    # 3
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        resource.setrlimit(limit, (most, most))
    checker = Checker(socket.socket(fileno=descriptor), pam)
    only_read(DIRECTORIES)
    PARENT.apply()
    checker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
