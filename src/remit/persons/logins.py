"""Who is logged in, as systemd-logind's files, `loginctl` or utmp(5) tell it; pure parsers.

The files of `/run/systemd/sessions` are what libsystemd itself reads (sd_session_get_state(3)); their lock and idle
hints are only on the bus, where `loginctl` asks for them.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from remit.persons.presence import Login

MAX_SESSIONS: Final = 512
MAX_SESSION_BYTES: Final = 16_384
HINTS: Final = ("Id", "LockedHint", "IdleHint", "IdleSinceHint")
# utmp(5) on 64-bit Linux with 32-bit times: type, pid, line, id, user, host, exit, session, time, address
_UTMP: Final = struct.Struct("=hxxi32s4s32s256shhiii16s20x")
_USER_PROCESS: Final = 7
_LAST_TYPE: Final = 9
_UID: Final = re.compile(r"[0-9]{1,10}")
_GRAPHICAL: Final = frozenset({"x11", "wayland", "mir"})


class UnreadableError(ValueError):
    """It is not in the form that is known: what it says is not known either."""


def logind_session(name: str, text: str) -> Login | None:
    """One file of `/run/systemd/sessions`; None for what is no person's login, or is ending.

    Raises UnreadableError for what systemd doesn't write.
    """
    said = dict(_pairs(text))
    if not said.get("CLASS", "").startswith("user") or said.get("STATE") == "closing":
        return None
    if _UID.fullmatch(said.get("UID", "")) is None or said.get("ACTIVE") not in {"0", "1"}:
        raise UnreadableError(f"session `{name[:40]}` is not as systemd writes one")
    return Login(
        id=name,
        uid=int(said["UID"]),
        terminal=said.get("TTY", ""),
        graphical=said.get("TYPE", "") in _GRAPHICAL,
        front=said["ACTIVE"] == "1",
    )


def hinted(login: Login, hints: Mapping[str, Mapping[str, str]]) -> Login:
    """With what its desktop says. One that never called itself idle says nothing by not doing so."""
    said = hints.get(login.id, {})
    locked, idle = _YES_NO.get(said.get("LockedHint", "")), _YES_NO.get(said.get("IdleHint", ""))
    since = said.get("IdleSinceHint", "")
    told = idle or (since.isdecimal() and since.strip("0") != "")
    return replace(login, locked=locked, idle=idle if told else None)


def loginctl_hints(text: str) -> dict[str, dict[str, str]]:
    """`loginctl show-session`'s answer, by session: properties of each, an empty line between them."""
    blocks = (dict(_pairs(block)) for block in text.split("\n\n"))
    return {block["Id"]: block for block in blocks if "Id" in block}


def utmp_logins(data: bytes, uid_of: Callable[[str], int | None]) -> list[Login]:
    """Of utmp(5), where there is no logind. `uid_of` gives an account's uid. Raises UnreadableError."""
    if len(data) % _UTMP.size or len(data) > MAX_SESSIONS * _UTMP.size:
        raise UnreadableError("utmp is not in the form of this machine")
    return [login for row in _UTMP.iter_unpack(data) if (login := _utmp_login(row, uid_of)) is not None]


def _utmp_login(row: tuple[object, ...], uid_of: Callable[[str], int | None]) -> Login | None:
    kind, pid, line, _, user, _, _, _, _, at, _, _ = row
    if not isinstance(kind, int) or not 0 <= kind <= _LAST_TYPE:
        raise UnreadableError("utmp is not in the form of this machine")
    if kind != _USER_PROCESS or not isinstance(line, bytes) or not isinstance(user, bytes):
        return None
    uid, terminal = uid_of(_text(user)), _text(line)
    display = terminal.startswith(":")  # of X: utmp knows no more of it
    return None if uid is None else Login(f"{terminal} {pid} {at}", uid, "" if display else terminal, display)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            yield key, value


_YES_NO: Final = {"yes": True, "no": False}
