"""Lengths of time as people write them."""

from typing import Final

from remit.errors import UsageError

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_DIGITS: Final = 9


def seconds(text: str) -> float:
    """A duration such as `90s`, `30m`, `2h`, `1d`, in seconds."""
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not number.isdecimal() or len(number) > MAX_DIGITS or int(number) == 0:
        raise UsageError(f"`{text}` is not a duration", hint="write 90s, 30m, 2h or 1d")
    return float(int(number) * UNITS[unit])
