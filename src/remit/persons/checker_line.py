"""What control asks the checker of passwords on their line, and the checker's answers; each message is one of these.

Beside a question comes one descriptor, from which the checker reads the password: a socket or a pipe.
"""

import enum
import json
from dataclasses import dataclass
from typing import Final

MAX_MESSAGE: Final = 2048  # a name's bytes are six each in JSON, at worst
MAX_NAME: Final = 256  # LOGIN_NAME_MAX (limits.h)
_MAX_UID: Final = 0xFFFFFFFE  # the one above stands for none (setreuid(2))


class Outcome(enum.IntEnum):
    """How a check ended. Exit statuses of the checker's children, too: a module that ends one by itself says none."""

    RIGHT = 42
    WRONG = 64
    CHANGE = 65
    DENIED = 66
    NOT_ASKED = 67
    NO_ACCOUNT = 68
    NOTHING = 69
    UNUSABLE = 70
    BROKEN = 71
    WAIT = 72
    BUSY = 73

    @property
    def guessed(self) -> bool:
        """Whether a password may have been tried that is not the right one."""
        return self in {Outcome.WRONG, Outcome.BROKEN}

    @property
    def why(self) -> str:
        """For people; empty when it was right."""
        return _WHY[self]


_WHY: Final = {
    Outcome.RIGHT: "",
    Outcome.WRONG: "this is not the account's password",
    Outcome.CHANGE: "the password has expired: change it with `passwd`",
    Outcome.DENIED: "the account may not be used: it has expired, or this machine's PAM does not admit it",
    Outcome.NOT_ASKED: "this machine's PAM asks for no password here, so none proves anything",
    Outcome.NO_ACCOUNT: "no account of this machine has this name and uid",
    Outcome.NOTHING: "no password was typed",
    Outcome.UNUSABLE: "this can't be a password: it is too long, or not one line",
    Outcome.BROKEN: "this machine's PAM could not check the password",
    Outcome.WAIT: "too many wrong passwords",
    Outcome.BUSY: "another password is being checked",
}


@dataclass(frozen=True, slots=True)
class Question:
    """Is this the password of that account, which must have that uid? ValueError for what can be no account."""

    id: int
    uid: int
    name: str

    def __post_init__(self) -> None:
        if not (0 <= self.id < 1 << 53 and 0 <= self.uid <= _MAX_UID):
            raise ValueError("a number is out of range")
        if not 0 < len(self.name.encode()) <= MAX_NAME or not self.name.isprintable():
            raise ValueError("no name of an account")

    def to_bytes(self) -> bytes:
        return json.dumps({"id": self.id, "uid": self.uid, "name": self.name}).encode()

    @classmethod
    def parse(cls, said: bytes) -> "Question":
        """Raises ValueError for what is no question."""
        match json.loads(said):
            case {"id": int(number), "uid": int(uid), "name": str(name), **more} if not more:
                return cls(number, uid, name)
        raise ValueError("no question")


@dataclass(frozen=True, slots=True)
class Answer:
    """`wait` is the seconds until the account's next password is looked at."""

    id: int
    outcome: Outcome
    wait: float = 0.0

    def to_bytes(self) -> bytes:
        return json.dumps({"id": self.id, "outcome": self.outcome.name, "wait": self.wait}).encode()

    @classmethod
    def parse(cls, said: bytes) -> "Answer":
        """Raises ValueError for what is no answer."""
        match json.loads(said):
            case {"id": int(number), "outcome": str(outcome), "wait": float(wait), **more} if not more:
                if outcome in Outcome.__members__:
                    return cls(number, Outcome[outcome], wait)
        raise ValueError("no answer")
