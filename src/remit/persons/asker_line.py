"""What control and the asker say to each other, one message a datagram; pure."""

import enum
import json
from dataclasses import asdict, dataclass
from typing import Final

MAX_MESSAGE: Final = 64 << 10  # bytes; of more nobody reads a question on a terminal
MAX_TYPED: Final = 511  # PAM_MAX_RESP_SIZE (security/_pam_types.h) without its final zero
SECONDS: Final = 60.0


class Outcome(enum.StrEnum):
    """How the asking ended."""

    TYPED = "typed"  # a password, which the checker can read now; or a code, which is told
    REFUSED = "refused"
    LATE = "late"
    GONE = "gone"
    LONG = "long"
    UNFIT = "unfit"

    @property
    def why(self) -> str:
        """For people and the log."""
        return _WHY[self]


_WHY: Final = {
    Outcome.TYPED: "",
    Outcome.REFUSED: "refused by the person, at the terminal",
    Outcome.LATE: f"nobody answered at the terminal within {SECONDS:.0f} s",
    Outcome.GONE: "the terminal is gone",
    Outcome.LONG: f"what was typed is longer than {MAX_TYPED} bytes",
    Outcome.UNFIT: "the terminal can't be used: it takes no settings, or is not open for reading and writing",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What a person is shown, and asked for: their password, or the `code` where it is not empty."""

    account: str
    act: str
    process: str
    lines: tuple[str, ...]
    code: str = ""

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, said: bytes) -> "Order":
        known = json.loads(said)
        return cls(**{**known, "lines": tuple(known["lines"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is what was typed where one was asked for."""

    outcome: Outcome
    code: str = ""

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, said: bytes) -> "Answer":
        """Raises ValueError for what is no answer: the other end may have been ended half-way."""
        match json.loads(said):
            case {"outcome": str(outcome), "code": str(code)}:
                return cls(Outcome(outcome), code)
        raise ValueError("no answer")
