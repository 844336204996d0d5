"""The host in a URL, a mail address or by itself, where it can be read in one way only; and rules that name hosts.

No parser of URLs is used: two of them disagree about `\\`, `@`, encodings and letters outside ASCII, so what has one
of these before the path names no host here.
"""

import re
from typing import Final

LONGEST: Final = 8_192  # characters of a URL
MOST_HOST: Final = 253  # RFC 1035, 2.3.4
ANY: Final = "*"
_NAME: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = rf"(?:{_NAME}(?:\.{_NAME})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])"
_PORT: Final = r"(?::[0-9]{1,5})?"
_PLAIN: Final = re.compile(rf"({_HOST}){_PORT}")
_URL: Final = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://({_HOST}){_PORT}(?:[/?#][^\\\s\x00-\x1f\x7f]*)?")
_MAIL: Final = re.compile(rf"[A-Za-z0-9.+_=-]{{1,64}}@({_HOST})")


def host_of(text: str) -> str | None:
    """In lower case without the dot at its end; None where no host can be told."""
    if len(text) > LONGEST:
        return None
    found = _URL.fullmatch(text) or _PLAIN.fullmatch(text) or _MAIL.fullmatch(text)
    return _plain(found[1]) if found and len(found[1]) <= MOST_HOST else None


def host_rule(rule: object) -> str:
    """The rule in one form: a host, or `*.` and the host that others are below. Raises ValueError."""
    if not isinstance(rule, str):
        raise ValueError(f"`{rule!r}` is no host")  # noqa: TRY004
    below = rule.startswith("*.")
    host = rule[2:] if below else rule
    if len(host) > MOST_HOST or not re.fullmatch(_HOST, host) or (below and host.startswith("[")):
        raise ValueError(f"`{rule[:80]}` is no host, nor `*.` before one")
    return f"*.{_plain(host)}" if below else _plain(host)


def host_within(host: str, rule: str) -> bool:
    return host.endswith(rule[1:]) if rule.startswith("*.") else host == rule


def rule_within(one: str, other: str) -> bool:
    """Whether each host that the one rule names is named by the other."""
    if one.startswith("*."):
        return other.startswith("*.") and one[1:].endswith(other[1:])
    return host_within(one, other)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
