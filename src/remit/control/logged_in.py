"""Who is logged in at this machine, and how their terminals' files are: read from logind's files, or from utmp."""

import os
import pwd
import stat
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from remit.persons.logins import (
    HINTS,
    MAX_SESSION_BYTES,
    MAX_SESSIONS,
    UnreadableError,
    hinted,
    loginctl_hints,
    logind_session,
    utmp_logins,
)
from remit.persons.presence import Login, Stamp

HINT_SECONDS: Final = 2.0
_MAX_UTMP: Final = MAX_SESSIONS * 384


@dataclass(frozen=True, slots=True)
class LoginPlaces:
    """Where it stands. `booted` is there where systemd runs the machine (sd_booted(3))."""

    sessions: Path = Path("/run/systemd/sessions")
    booted: Path = Path("/run/systemd/system")
    utmp: Path = Path("/run/utmp")
    devices: Path = Path("/dev")
    loginctl: Path = Path("/usr/bin/loginctl")


def logged_in(places: LoginPlaces) -> list[Login] | None:
    """Every person's login session; None where nothing tells, or what tells can't be read. Blocks."""
    try:
        by_logind = _by_logind(places)
        return by_logind if by_logind is not None else _by_utmp(places)
    except (OSError, UnreadableError):
        return None


def stamps(places: LoginPlaces, logins: Iterable[Login]) -> dict[str, Stamp]:
    """The terminals' files, by their lines; not of a line that is no terminal below `devices`."""
    found = {login.terminal: _stamp(places.devices, login.terminal) for login in logins if login.terminal}
    return {line: stamp for line, stamp in found.items() if stamp is not None}


def _by_logind(places: LoginPlaces) -> list[Login] | None:
    """None where there is no logind: that nobody is listed tells nothing then."""
    try:
        names = sorted(entry.name for entry in os.scandir(places.sessions) if entry.name.isalnum())
    except FileNotFoundError:
        return None
    if not names and not places.booted.is_dir():
        return None
    if len(names) > MAX_SESSIONS:
        raise UnreadableError("more sessions than can be looked at")
    logins = [one for name in names if (one := _session(places.sessions / name)) is not None]
    return _with_hints(places, logins)


def _session(path: Path) -> Login | None:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SESSION_BYTES)
    except FileNotFoundError:
        return None  # it has ended since
    return logind_session(path.name, text.decode("utf-8", "replace"))


def _with_hints(places: LoginPlaces, logins: list[Login]) -> list[Login]:
    """Of the desktops in front of somebody what they say of themselves; without an answer they said nothing."""
    desktops = [one.id for one in logins if one.graphical and one.front]
    hints = loginctl_hints(_asked(places.loginctl, desktops)) if desktops else {}
    return [hinted(one, hints) if one.id in desktops else one for one in logins]


def _asked(loginctl: Path, sessions: list[str]) -> str:
    properties = [f"--property={name}" for name in HINTS]
    try:
        done = subprocess.run(
            [loginctl, "show-session", *properties, *sessions],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            timeout=HINT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def _by_utmp(places: LoginPlaces) -> list[Login] | None:
    try:
        with places.utmp.open("rb") as file:
            data = file.read(_MAX_UTMP + 1)
    except FileNotFoundError:
        return None
    return [replace(one, terminal=_line(one.terminal)) for one in utmp_logins(data, _uid)]


def _uid(account: str) -> int | None:
    try:
        return pwd.getpwnam(account).pw_uid
    except (KeyError, ValueError):
        return None


def _line(terminal: str) -> str:
    return terminal.removeprefix("/dev/")


def _stamp(devices: Path, line: str) -> Stamp | None:
    if ".." in line.split("/") or line.startswith("/"):
        return None
    at = time.time_ns()  # before the look: nothing that is changed after it may seem older
    try:
        seen = (devices / line).lstat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISCHR(seen.st_mode):
        return None
    return Stamp((seen.st_dev, seen.st_ino), seen.st_uid, seen.st_atime_ns, seen.st_ctime_ns, at)
