"""What an argument of a tool can do: it says where something goes, or what is said."""

import enum
from dataclasses import dataclass
from typing import Final


class ArgumentClass(enum.StrEnum):
    RECIPIENT = "recipient"  # who is told, invited, or let in
    ACCOUNT = "account"  # whose money it is, and what lets somebody into an account
    URL = "url"
    PATH = "path"
    COMMAND = "command"
    AMOUNT = "amount"
    LINK = "link"  # a URL within a text: where a reader is sent
    TEXT = "text"
    OTHER = "other"


# Where something goes, or what happens there. Of a `path` only where the tool writes: see judge.py.
DESTINATIONS: Final = frozenset(
    {
        ArgumentClass.RECIPIENT,
        ArgumentClass.ACCOUNT,
        ArgumentClass.URL,
        ArgumentClass.PATH,
        ArgumentClass.COMMAND,
    }
)
DEEPEST: Final = 16  # levels of arguments and of schemas that are looked at


@dataclass(frozen=True, slots=True)
class Value:
    """`pointer` is where it stands in the arguments (RFC 6901)."""

    pointer: str
    kind: ArgumentClass
    text: str
